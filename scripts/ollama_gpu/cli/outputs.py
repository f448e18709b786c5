"""The verbs `outputs` and `env`."""

from __future__ import annotations

from ollama_gpu.cli.options import Env, Json


def outputs(env: Env = "local", json: Json = False) -> None:
    """Print the identifiers and addresses of an environment."""
    from ollama_gpu.cli.deployed import deployed
    from ollama_gpu.core.console import print_values

    print_values(f"ENV={env}", ("output", "value"), deployed(env)[1], json)


def env(env: Env = "local", json: Json = False) -> None:
    """Print shell exports for aws-cli, boto3 and Ansible. Use: eval "$(ollama-gpu env)"."""
    import shlex

    from ollama_gpu.core.console import print_json
    from ollama_gpu.environment.context import open_context

    context = open_context(env)
    if json:
        print_json({"set": context.exports, "unset": list(context.unset)})
        return
    stale = sorted(set(context.unset) - set(context.exports))
    if stale:
        print("unset " + " ".join(stale))
    for key, value in context.exports.items():
        print(f"export {key}={shlex.quote(value)}")
