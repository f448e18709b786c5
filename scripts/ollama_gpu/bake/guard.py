"""Removes the builder of a bake that was ended before it could: Ctrl-C and a kill run nothing of a play's `always`.

A process in a session of its own, so that a terminal's Ctrl-C passes it by. It lives as long as its bake; that
something is left to remove it sees by the file of the plan, which the play takes away with the builder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ollama_gpu import paths
from ollama_gpu.bake.builders import Maker, alive
from ollama_gpu.paths import Paths

POLL_SECONDS = 0.5
SETTLE_SECONDS = 5.0
RELEASE_SECONDS = 900  # an instance takes minutes to end, and its security group goes only then


def start(plan: Path, maker: str) -> int:
    """Start the guard of a bake whose plan is written; return its pid. Its log lies beside the plan."""
    command = [sys.executable, "-m", "ollama_gpu.bake.guard", "--watch", str(plan), maker]
    with plan.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    return process.pid


def watch(plan: Path, maker: Maker, release: Callable[[Path], int], settle_seconds: float = SETTLE_SECONDS) -> int:
    """Wait until the bake has ended; 0 when it cleaned up itself, else the exit status of the last ``release``.

    It releases twice: what the bake had asked for when it was ended may come into being after that.
    """
    while alive(maker):
        time.sleep(POLL_SECONDS)
    status = 0
    if plan.exists():
        release(plan)
        time.sleep(settle_seconds)
        status = release(plan)
    if status == 0:
        plan.unlink(missing_ok=True)
        plan.with_suffix(".log").unlink(missing_ok=True)
    return status


def release(where: Paths, plan: Path) -> int:
    """Remove what a plan's bake rented, by the tasks that the bake itself removes it with."""
    play = where.repository / "playbooks" / "bake-release.yml"
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(play), "-e", f"@{plan}"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(where.repository / "ansible.cfg")}
    return subprocess.run(command, env=environment, timeout=RELEASE_SECONDS).returncode


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m ollama_gpu.bake.guard", description=__doc__)
    parser.add_argument("--watch", action="store_true", help="be the guard, instead of starting it in the background")
    parser.add_argument("plan", type=Path)
    parser.add_argument("maker")
    options = parser.parse_args(arguments)
    maker = Maker.parse(options.maker)
    if maker is None:
        parser.error(f"{options.maker!r} names no bake")
    if options.watch:
        return watch(options.plan, maker, lambda left: release(paths.locate(), left))
    print(start(options.plan, options.maker))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
