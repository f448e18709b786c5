"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

Env = Annotated[str, typer.Option("--env", help="Environment: local, dev, staging, prod, or one that you added.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for approval. Loss of data still needs --confirm.")]
Confirm = Annotated[str | None, typer.Option("--confirm", help="The environment's name, as approval to lose data.")]
Every = Annotated[bool, typer.Option("--all", help="List all, not only the newest 20.")]
Since = Annotated[str, typer.Option(help="How far back to look: 90s, 15m, 2h, 7d.")]
