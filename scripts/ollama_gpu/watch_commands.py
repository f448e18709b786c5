"""The verbs that watch an environment, `status`, `logs`, `events`, `verify`: parse, call, print. No logic."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ollama_gpu.options import Env, Json, Since


def status(
    env: Env = "local",
    watch: Annotated[bool, typer.Option("--watch", help="Look again until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks of --watch.")] = 10.0,
    json: Json = False,
) -> None:
    """What is running: fleets, load, GPUs, each instance's boot, alarms that ring. --json --watch: a line a look."""
    from ollama_gpu import status as look
    from ollama_gpu import status_screen, watching
    from ollama_gpu.console import note, print_json, print_json_line, print_tables, redrawn
    from ollama_gpu.deployed import deployed

    context, outputs = deployed(env)

    def read() -> dict[str, Any]:
        return look.read(context, outputs)

    if not watch:
        seen = read()
        if json:
            print_json(seen)
        else:
            print_tables(status_screen.tables(seen))
    elif json:
        watching.watch(read, lambda seen, trouble: note(trouble) if trouble else print_json_line(seen), every)
    else:
        with redrawn() as show:
            watching.watch(read, lambda seen, trouble: show(status_screen.tables(seen, trouble)), every)


def logs(
    env: Env = "local",
    group: Annotated[
        str, typer.Option(help="instance, gateway, boot (the steps of each boot), events, flow or waf.")
    ] = "instance",
    instance: Annotated[str | None, typer.Option(help="Only this instance's lines, by its id.")] = None,
    since: Since = "15m",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Log lines from CloudWatch Logs, oldest first. --json: a line each."""
    from ollama_gpu import logs as look
    from ollama_gpu.console import print_json_line
    from ollama_gpu.context import open_context
    from ollama_gpu.since import before_now

    start = before_now(since)
    context = open_context(env)
    try:
        for line in (look.follow if follow else look.read)(context, group, start, instance):
            if json:
                print_json_line(line.as_dict())
            else:
                print(look.text(line), flush=follow)
    except KeyboardInterrupt:
        if not follow:  # to follow has no other end
            raise


def events(env: Env = "local", since: Since = "24h", json: Json = False) -> None:
    """What happened, with time and reason: scaling, refreshes, spot notices, alarms, backups."""
    from ollama_gpu import events as look
    from ollama_gpu.console import print_json, print_table
    from ollama_gpu.deployed import deployed
    from ollama_gpu.since import before_now

    start = before_now(since)
    context, outputs = deployed(env)
    found = look.read(context, {name: fleet["group_name"] for name, fleet in outputs["fleets"].items()}, start)
    if json:
        print_json([event.as_dict() for event in found])
    else:
        print_table(f"ENV={env}: the last {since}", look.COLUMNS, [tuple(event.as_dict().values()) for event in found])


def verify(env: Env = "local", json: Json = False) -> None:
    """Does it serve? Chats and their first token, each GPU's share of the model, fleets, alarms. Exit status 1: no."""
    from ollama_gpu import verify as steps
    from ollama_gpu.check_report import report
    from ollama_gpu.deployed import deployed

    report(f"verify ENV={env}", steps.run(*deployed(env)), json)
