"""An AWS inside one process on this machine: moto's server plus what moto 5.2.5 lacks.

``process`` starts and stops it, ``server`` is the process, ``completions`` add to moto service by service.
"""
