"""Remove the builder of a bake that was interrupted: Ctrl-C and a kill do not run a play's `always` tasks.

The guard is a process in a separate session, so that a terminal's Ctrl-C does not reach it. It runs until its bake
ends. If the plan's file still exists then, a builder is left: the play deletes that file together with the builder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ollama_gpu.bake.builders import Maker, alive
from ollama_gpu.core import paths
from ollama_gpu.core.paths import Paths

POLL_SECONDS = 0.5
SETTLE_SECONDS = 5.0
RELEASE_SECONDS = 900  # an instance takes minutes to terminate, and its security group can be deleted only then


def start(plan: Path, maker: str) -> int:
    """Start the guard of a bake and return its pid. ``plan`` must exist; the guard's log is next to it."""
    command = [sys.executable, "-m", "ollama_gpu.bake.guard", "--watch", str(plan), maker]
    with plan.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    return process.pid


def watch(plan: Path, maker: Maker, release: Callable[[Path], int], settle_seconds: float = SETTLE_SECONDS) -> int:
    """Wait until the bake ends. Returns 0 if the bake cleaned up itself, else the exit status of the last ``release``.

    Calls ``release`` twice, because a resource that the bake requested just before it ended may appear later.
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
    """Remove the builder of a plan's bake with the same tasks that the bake uses."""
    play = where.repository / "playbooks" / "bake-release.yml"
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(play), "-e", f"@{plan}"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(where.repository / "ansible.cfg")}
    return subprocess.run(command, env=environment, timeout=RELEASE_SECONDS).returncode


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m ollama_gpu.bake.guard", description=__doc__)
    parser.add_argument(
        "--watch", action="store_true", help="run in the foreground instead of starting a background process"
    )
    parser.add_argument("plan", type=Path)
    parser.add_argument("maker")
    options = parser.parse_args(arguments)
    maker = Maker.parse(options.maker)
    if maker is None:
        parser.error(f"{options.maker!r} is not a valid maker: use HOST/PID/STARTED")
    if options.watch:
        return watch(options.plan, maker, lambda plan: release(paths.locate(), plan))
    print(start(options.plan, options.maker))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
