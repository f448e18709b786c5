"""Plan and run a bake: the key of an image's content, existing images, leftover builders, and the play's progress.

The play `playbooks/bake-ami.yml` builds the image. It calls `python -m ollama_gpu.bake`.
"""
