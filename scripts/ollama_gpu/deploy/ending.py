"""The last lines of a deploy: where users sign in, and the commands that follow."""

from __future__ import annotations

from typing import Any

from ollama_gpu.deploy import front_door
from ollama_gpu.environment import secrets
from ollama_gpu.environment.context import Context


def lines(context: Context, outputs: dict[str, Any]) -> list[str]:
    """Return the five lines. Without the lab there is no address to open and no user to sign in."""
    name = context.environment.name
    if context.environment.embedded and context.instance_settings is None:
        where = f"ENV={name} is deployed without the lab (LAB=off): its instances are records of the embedded AWS."
        who = f"see every address    make outputs ENV={name}"
    else:
        where = f"Open WebUI: {front_door.address(context, outputs).url}"
        who = f"sign in as           {secrets.administrator(context)['email']}; password: make administrator ENV={name}"
    return [
        where,
        f"  {who}",
        f"  check that it works  make verify ENV={name}",
        f"  see what it does     make status ENV={name}",
        f"  remove it            make destroy ENV={name}",
    ]
