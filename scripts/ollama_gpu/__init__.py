"""A production home on AWS GPUs for Ollama and Open WebUI."""
