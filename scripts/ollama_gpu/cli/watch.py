"""The verbs that observe an environment: `status`, `logs`, `events` and `verify`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ollama_gpu.cli.options import Env, Json, Since


def status(
    env: Env = "local",
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between refreshes with --watch.")] = 10.0,
    json: Json = False,
) -> None:
    """Show fleets, load, GPUs, boots and firing alarms. --json --watch prints one line per refresh."""
    from ollama_gpu.cli.deployed import deployed
    from ollama_gpu.core import polling
    from ollama_gpu.core.console import note, print_json, print_json_line, print_tables, redrawn
    from ollama_gpu.deploy import status as deploy_status
    from ollama_gpu.observe import status_screen

    context, outputs = deployed(env)

    def read() -> dict[str, Any]:
        return deploy_status.read(context, outputs)

    if not watch:
        seen = read()
        if json:
            print_json(seen)
        else:
            print_tables(status_screen.tables(seen))
    elif json:
        polling.watch(read, lambda seen, trouble: note(trouble) if trouble else print_json_line(seen), every)
    else:
        with redrawn() as show:
            polling.watch(read, lambda seen, trouble: show(status_screen.tables(seen, trouble)), every)


def logs(
    env: Env = "local",
    group: Annotated[
        str, typer.Option(help="instance, gateway, boot (the steps of each boot), events, flow or waf.")
    ] = "instance",
    instance: Annotated[str | None, typer.Option(help="Show only lines of this instance id.")] = None,
    since: Since = "15m",
    follow: Annotated[bool, typer.Option("--follow", help="Keep printing new lines until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Print log lines from CloudWatch Logs, oldest first. --json: one JSON document per line."""
    from ollama_gpu.core.console import print_json_line
    from ollama_gpu.core.durations import before_now
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.observe import logs as log_lines

    start = before_now(since)
    context = open_context(env)
    try:
        for line in (log_lines.follow if follow else log_lines.read)(context, group, start, instance):
            if json:
                print_json_line(line.as_dict())
            else:
                print(log_lines.text(line), flush=follow)
    except KeyboardInterrupt:
        if not follow:  # Ctrl-C is the normal end of --follow
            raise


def events(env: Env = "local", since: Since = "24h", json: Json = False) -> None:
    """List what happened and why. Shows scaling, instance refreshes, spot notices, alarms and backups."""
    from ollama_gpu.cli.deployed import deployed
    from ollama_gpu.core.console import print_json, print_table
    from ollama_gpu.core.durations import before_now
    from ollama_gpu.observe import events as environment_events

    start = before_now(since)
    context, outputs = deployed(env)
    found = environment_events.read(
        context, {name: fleet["group_name"] for name, fleet in outputs["fleets"].items()}, start
    )
    if json:
        print_json([event.as_dict() for event in found])
    else:
        rows = [tuple(event.as_dict().values()) for event in found]
        print_table(f"ENV={env}: events of the last {since}", environment_events.COLUMNS, rows)


def verify(env: Env = "local", json: Json = False) -> None:
    """Verify that an environment serves. Checks fleets, chats, first token, GPUs, alarms. Exits with 1 on failure."""
    from ollama_gpu.cli.deployed import deployed
    from ollama_gpu.cli.report import report
    from ollama_gpu.deploy import verify as steps

    report(f"verify ENV={env}", steps.run(*deployed(env)), json)
