"""A soak of the ENV=local that runs: `python -m tests.soak [--minutes 60] [--events NAME ... | --rehearse] [--json]`

It deploys nothing of its own accord: the refresh deploys this checkout with one variable changed, the rollback takes
that back; what is rehearsed deploys releases that must not serve, and goes back. Exit status 1: a chat failed that no
event excuses, an event did not go as promised, or something leaks; 130: ended by Ctrl-C, which prints the report so
far.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from ollama_gpu.console import print_tables
from ollama_gpu.context import open_context
from ollama_gpu.deployed import deployed
from ollama_gpu.errors import UserError
from ollama_gpu.lab.docker import Docker
from ollama_gpu.lab.plane import Plane
from ollama_gpu.paths import make_folder
from tests.fabric.driver import Driver
from tests.serving.conftest import Serving
from tests.soak import report, run, schedule


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=60)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--events", nargs="*", default=[], help="only these, however short the run is")
    which.add_argument("--rehearse", action="store_true", help="only the releases that must not serve, all of them")
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
        print(f"error: The soak did not begin: {error}\nLook at it with: make status ENV=local", file=sys.stderr)
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
    """Raises UserError for an environment that people use: things are killed, and releases deployed that are bad."""
    if environment != "local":
        raise UserError(
            f"ENV={environment} is no place for this: it kills what serves, and deploys what must not.",
            "Run it at ENV=local.",
            status=2,
        )


def running() -> Serving:
    """The ENV=local of this checkout. Raises UserError where none runs, or where it runs without its lab."""
    if os.geteuid() != 0:
        raise UserError(
            "What the lab's processes have open is hidden from all but root.", "Run it as root, as the lab."
        )
    context = open_context("local")
    if Plane(context).follower.running() is None:
        raise UserError("ENV=local runs without its lab.", "Start it with: make deploy ENV=local")
    _, outputs = deployed("local")
    return Serving(Driver(context.paths.work), context, outputs, Docker())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
