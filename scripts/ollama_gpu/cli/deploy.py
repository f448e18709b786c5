"""The verbs `preflight`, `plan` and `deploy`."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.cli.options import Confirm, Env, Json, Yes

Lab = Annotated[
    bool,
    typer.Option("--lab/--no-lab", help="ENV=local only: run the instances as containers, or deploy only the fabric."),
]


def preflight(env: Env = "local", json: Json = False) -> None:
    """Check what could make a deploy fail. Run it before a deploy spends money."""
    from ollama_gpu.cli.report import report
    from ollama_gpu.deploy import steps
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.terraform.progress import view_of_this_run

    report("preflight", steps.run_preflight(open_context(env, start_embedded=True), view_of_this_run()), json)


def plan(env: Env = "local", json: Json = False) -> None:
    """Show what a deploy would change. Changes nothing."""
    from ollama_gpu.core.console import print_json
    from ollama_gpu.deploy import steps
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.terraform.progress import view_of_this_run

    saved = steps.plan(open_context(env, start_embedded=True), view_of_this_run())
    saved.path.unlink(missing_ok=True)
    if json:
        print_json(saved.review.as_dict())
    else:
        print("\n".join(saved.review.lines()))


def deploy(env: Env = "local", yes: Yes = False, confirm: Confirm = None, lab: Lab = True, json: Json = False) -> None:
    """Deploy an environment and wait until it serves. Runs preflight, plan, review, apply and rollout."""
    from ollama_gpu.core.console import elapsed_lines, print_json
    from ollama_gpu.deploy import ending, steps
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.fabric.approval import Approval
    from ollama_gpu.terraform.progress import view_of_this_run

    with elapsed_lines():
        context = open_context(env, start_embedded=True)
        outputs = steps.deploy(context, Approval(yes, confirm), view_of_this_run(), lab)
    print_json(outputs) if json else print("\n".join(ending.lines(open_context(env), outputs)))
