"""The verbs `destroy` and `local-down`."""

from __future__ import annotations

import typer

from ollama_gpu.cli.options import Confirm, Env, Json, Yes


def destroy(env: Env = "local", yes: Yes = False, confirm: Confirm = None, json: Json = False) -> None:
    """Delete an environment with its data. Then searches the account for leftovers."""
    from ollama_gpu.core import paths
    from ollama_gpu.core.console import note, print_json
    from ollama_gpu.deploy import steps
    from ollama_gpu.environment import settings
    from ollama_gpu.environment.context import embedded_aws, open_context
    from ollama_gpu.fabric.approval import Approval
    from ollama_gpu.terraform.progress import view_of_this_run

    where = paths.locate()
    environment = settings.load(where, env)
    if environment.embedded and embedded_aws(where, environment.region).running() is None:
        left: list[str] = []
        note(f"ENV={env} is not running: there is nothing to destroy.")
    else:
        left = steps.destroy(open_context(env), Approval(yes, confirm), view_of_this_run())
        note(
            f"ENV={env}: {len(left)} resources remain that are in no Terraform state. "
            "An interrupted run can cause this. Delete them by hand:"
            if left
            else f"ENV={env}: all resources are deleted."
        )
    if json:
        print_json({"left": left})
    else:
        print("\n".join(left), end="\n" if left else "")
    if left:
        raise typer.Exit(1)


def local_down() -> None:
    """Stop ENV=local in any state. Removes the lab's containers, volumes and network."""
    from ollama_gpu.core import contract, paths
    from ollama_gpu.core.console import note
    from ollama_gpu.environment import settings
    from ollama_gpu.environment.context import embedded_aws
    from ollama_gpu.local.lab import lab

    where, local = paths.locate(), settings.EMBEDDED
    removed = lab.down(where, contract.load(where.contract).project, local)
    names = removed.containers + removed.volumes + removed.networks
    note(f"lab: removed {', '.join(names)}" if names else "lab: nothing to remove")
    for kept in removed.kept:
        note(f"lab: kept {kept}")
    stopped = embedded_aws(where, settings.load(where, local).region).stop()
    note("embedded AWS: stopped" if stopped else "embedded AWS: not running")
