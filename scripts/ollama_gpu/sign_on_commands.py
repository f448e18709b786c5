"""The verb `sign-on`: parse, call, print. No logic."""

from __future__ import annotations

from ollama_gpu.options import Env


def sign_on(env: Env = "local") -> None:
    """Keep the OpenID client's secret in Secrets Manager; it is read from standard input, or asked for unseen."""
    import getpass
    import sys

    from ollama_gpu import secret_values
    from ollama_gpu.console import note
    from ollama_gpu.context import open_context

    context = open_context(env)
    given = getpass.getpass("The client's secret: ") if sys.stdin.isatty() else sys.stdin.read()
    secret_values.set_client_secret(context.environment, context.contract, context.aws, given.strip())
    note(f"ENV={env}: the client's secret is kept. Instances read it at their next boot.")
