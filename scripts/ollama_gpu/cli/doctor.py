"""The verb `doctor`."""

from __future__ import annotations

from ollama_gpu.cli.options import Env, Json


def doctor(env: Env = "local", json: Json = False) -> None:
    """Check that this machine has what the command needs. Read-only."""
    from ollama_gpu.cli.report import report
    from ollama_gpu.core import paths
    from ollama_gpu.doctor.machine import run

    report("doctor", run(paths.locate(), env), json)
