"""The verb `sign-on`."""

from __future__ import annotations

from ollama_gpu.cli.options import Env


def sign_on(env: Env = "local") -> None:
    """Store the OpenID client secret in Secrets Manager. Reads it from standard input or prompts for it."""
    import getpass
    import sys

    from ollama_gpu.core.console import note
    from ollama_gpu.environment import secrets
    from ollama_gpu.environment.context import open_context

    context = open_context(env)
    given = getpass.getpass("Client secret: ") if sys.stdin.isatty() else sys.stdin.read()
    secrets.set_client_secret(context, given.strip())
    note(f"ENV={env}: stored the client secret. Instances read it at their next boot.")
