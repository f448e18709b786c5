"""The embedded AWS: moto's server in one local process, plus what moto 5.2.5 lacks.

``server`` is the process, ``ollama_gpu.environment.embedded_aws`` starts and stops it. ``autoscaling`` replaces moto's
Auto Scaling, ``completions`` adds to the other services, ``authorization`` enforces the policies of roles.
"""
