"""The options that verbs have in common, worded once."""

from __future__ import annotations

from typing import Annotated

import typer

Env = Annotated[str, typer.Option("--env", help="Environment: local, dev, staging, prod or your own.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Yes = Annotated[bool, typer.Option("--yes", help="Unattended: do not ask. Does not cover the loss of data.")]
Confirm = Annotated[
    str | None, typer.Option("--confirm", help="The environment's name: agrees to the loss of its data.")
]
Every = Annotated[bool, typer.Option("--all", help="Every one, not only the newest 20.")]
Since = Annotated[str, typer.Option(help="How far back: 90s, 15m, 2h, 7d.")]
