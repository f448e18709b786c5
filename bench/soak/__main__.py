"""Soak the running ENV=local: `python -m bench.soak [--minutes 60] [--events NAME ... | --rehearse] [--json]`

Deploys only as part of events: `refresh` deploys this checkout with one variable changed, and `rollback` undoes that.
Rehearsals deploy releases that must not serve, and roll back. Exit status 1: a chat failed outside of an event, an
event did not go as expected, or something leaks. Exit status 130: stopped by Ctrl-C, which prints the report so far.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from bench.soak import report, run, schedule
from ollama_gpu.cli.deployed import deployed
from ollama_gpu.core.console import print_tables
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import make_folder
from ollama_gpu.environment.context import open_context
from ollama_gpu.local.lab import lab as local_lab
from ollama_gpu.local.lab.docker import Docker
from tests.fabric.driver import Driver
from tests.serving.conftest import Serving


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="python -m bench.soak")
    parser.add_argument("--minutes", type=float, default=60, help="length of the run (%(default)s)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--events", nargs="*", default=[], help="only these events, however short the run is")
    which.add_argument("--rehearse", action="store_true", help="only the rehearsals of bad releases, all of them")
    parser.add_argument("--env", default="local")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    try:
        require_local(given.env)
        only = [event.name for event in schedule.REHEARSALS] if given.rehearse else given.events
        planned = schedule.plan(given.minutes, only)
        serving = running()
        folder = serving.context.paths.work / "soak"
        make_folder(folder)
        if planned.left_out:
            run.say(f"too short for {', '.join(planned.left_out)}")
        seen = run.soak(serving, planned, folder)
    except AssertionError as error:
        print(f"error: The soak did not start: {error}\nCheck it with: make status ENV=local", file=sys.stderr)
        return 1
    except UserError as error:
        print(f"error: {error.message}\n{error.remedy}", file=sys.stderr)
        return error.status
    found = report.figures(seen)
    (folder / "report.json").write_text(json.dumps(found, indent=2))
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        print_tables(report.tables(found))
    for sentence in found["wrong"]:
        print(f"wrong: {sentence}", file=sys.stderr)
    if seen.interrupted:
        return 130
    return 1 if found["wrong"] else 0


def require_local(environment: str) -> None:
    """Raise UserError unless it is `local`: events kill processes and deploy bad releases."""
    if environment != "local":
        raise UserError(
            f"Do not run this at ENV={environment}: it kills serving processes and deploys bad releases.",
            "Run it at ENV=local.",
            status=2,
        )


def running() -> Serving:
    """The ENV=local of this checkout. Raises UserError if none runs, or if it runs without its lab."""
    if os.geteuid() != 0:
        raise UserError(
            "Only root can see the open files of the lab's processes.", "Run it as root, as you run the lab."
        )
    context = open_context("local")
    if local_lab.Lab(context).follower.running() is None:
        raise UserError("ENV=local runs without its lab.", "Start it with: make deploy ENV=local")
    _, outputs = deployed("local")
    return Serving(Driver(context.paths.work), context, outputs, Docker())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
