"""Converge one role alone in a container, check that a second run changes nothing, and run its tests.

    python -m tests.role ROLE [--keep]

``--keep`` leaves the container, so that the next run with ``--keep`` only converges and tests. Without it, every run
starts from scratch and removes the container.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = ROOT / "ansible_collections" / "ollama" / "gpu"
ROLES = sorted(path.parent.name for path in (COLLECTION / "extensions" / "molecule").glob("*/molecule.yml"))
BIN = Path(sys.executable).parent
STEP = re.compile(
    r"\w+ (?:>|➜) (?P<step>\w+)(?:\]|:) (?P<what>Executing|Executed)(?: *$|:)"
)  # without and with colours
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def main(arguments: Sequence[str]) -> int:
    role, keep = next(iter(arguments), ""), "--keep" in arguments
    if role not in ROLES:
        print(f"There is no role {role!r}. Set ROLE to one of {', '.join(ROLES)}.", file=sys.stderr)
        return 2
    if os.geteuid() != 0 and subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        print("Docker is not running. Start it, or run this as root, which installs and starts it.", file=sys.stderr)
        return 1
    began = time.monotonic()
    seconds: dict[str, float] = {}
    status = 0
    for command in ("converge", "idempotence", "verify") if keep else ("test",):
        status, took = molecule(command, role)
        seconds |= took
        if status != 0:
            break
    steps = ", ".join(f"{step} {took:.0f}" for step, took in seconds.items() if took >= 1)
    print(f"{role}: {'failed' if status else 'passed'} after {time.monotonic() - began:.0f} s ({steps})")
    if keep:
        print(f"The container stays: docker exec -it {container(role)} bash. A run without KEEP=1 removes it.")
    return 1 if status else 0


def container(role: str) -> str:
    return f"ollama-gpu-role-{role}{checkout()}"


def checkout() -> str:
    """A suffix for the names of this checkout's containers, because Docker's names are global."""
    return "-" + hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]


def molecule(command: str, role: str) -> tuple[int, dict[str, float]]:
    """Run a command of molecule in the collection and show its output. Return its status and each step's seconds."""
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(ROOT / ".ollama-gpu" / "tests" / "role" / role),
        "OLLAMA_GPU_CHECKOUT": checkout(),
    }
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        environment |= {"ANSIBLE_FORCE_COLOR": "1", "PY_COLORS": "1"}  # its output goes through a pipe
    with subprocess.Popen(
        [str(BIN / "molecule"), command, "--scenario-name", role],
        cwd=COLLECTION, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        seconds = steps(shown(process.stdout or ()))
    return process.returncode, seconds


def shown(lines: Iterable[str]) -> Iterator[tuple[float, str]]:
    """Print each line, and yield it with its time."""
    for line in lines:
        print(line, end="", flush=True)
        yield time.monotonic(), line


def steps(lines: Iterable[tuple[float, str]]) -> dict[str, float]:
    """Return the seconds of each of molecule's steps. Steps that run twice are added.

    At its end, molecule lists the steps once more, in lines that say "Executed" only. They do not count.
    """
    seconds: dict[str, float] = {}
    began: dict[str, float] = {}
    for now, line in lines:
        found = STEP.search(COLOUR.sub("", line))
        if found is None:
            continue
        step = found["step"]
        if found["what"] == "Executing":
            began[step] = now
        elif step in began:
            seconds[step] = seconds.get(step, 0.0) + now - began.pop(step)
    return seconds


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
