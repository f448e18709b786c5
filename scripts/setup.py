"""Create .venv from requirements.lock, which has the base packages and the extras `dev` and `local`.

Runs again only when the lock or pyproject.toml changes. Uses the standard library only, because it runs before anything
is installed. Prints its progress to standard error, so that `make outputs JSON=1` stays clean, and prints nothing when
there is nothing to do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / ".lock-digest"
REPORT_SECONDS = 5.0
TAIL_LINES = 20


def main() -> int:
    if sys.version_info < (3, 11):
        return fail(
            f"Python {sys.version.split()[0]} is too old.",
            "Install Python 3.11 or newer, or choose an installed one: make PYTHON=python3.12 ...",
        )
    lock, project = (
        hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in ("requirements.lock", "pyproject.toml")
    )
    installed = STAMP.read_text().split() if STAMP.is_file() and (VENV / "bin" / "ollama-gpu").is_file() else []
    if installed == [lock, project]:
        return 0
    if not ensure_venv_module():
        return fail(
            "This Python cannot create virtual environments (no ensurepip).",
            "Run as root: apt-get install python3-venv",
        )
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--progress-bar", "off", "--disable-pip-version-check"]
    # Without build isolation, pip downloads nothing that is not in the lock.
    steps = [[*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]]
    if installed[:1] != [lock]:
        say(f"setup: installing the locked packages into {VENV.name} (about a minute, once)")
        shutil.rmtree(VENV, ignore_errors=True)
        steps = [
            [sys.executable, "-m", "venv", str(VENV)],
            [*pip, "--require-hashes", "--requirement", str(ROOT / "requirements.lock")],
            *steps,
        ]
    total = sum(line[:1].isalnum() for line in (ROOT / "requirements.lock").read_text().splitlines())
    began = time.monotonic()
    for step in steps:
        if not run(step, total, began):
            shutil.rmtree(VENV, ignore_errors=True)
            return fail(
                f"`{' '.join(step[:5])} ...` failed; see its message above.",
                "Check the network and pip's index, then run the command again.",
            )
    STAMP.write_text(f"{lock} {project}\n")
    return 0


def run(step: Sequence[str], total: int, began: float) -> bool:
    """Run a command and say every few seconds how far pip is. Show the end of its output if it fails."""
    lines: list[str] = []
    process = subprocess.Popen(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert process.stdout is not None  # noqa: S101, set because of PIPE
    reader = threading.Thread(target=lines.extend, args=[process.stdout], daemon=True)
    reader.start()
    try:
        while True:
            try:
                status = process.wait(REPORT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"setup: {how_far(lines, total)} ({time.monotonic() - began:.0f} s)")
    except BaseException:
        process.kill()
        raise
    reader.join()
    if status != 0:
        say("".join(lines[-TAIL_LINES:]).rstrip())
    return status == 0


def how_far(lines: Sequence[str], total: int) -> str:
    """Return what pip does, from its output: `41 of 148 packages fetched`."""
    if any(line.startswith("Installing collected packages") for line in lines):
        return f"installing {total} packages"
    fetched = sum(line.startswith("Collecting ") for line in lines)
    return f"{min(fetched, total)} of {total} packages fetched" if fetched else "preparing"


def ensure_venv_module() -> bool:
    """Install Debian's separate package with ensurepip where it is missing; this needs root."""
    if has_ensurepip():
        return True
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    say("setup: installing Debian's python3-venv")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", "python3-venv"]):
        ran = subprocess.run(["apt-get", "-qq", *words], env=environment, capture_output=True, text=True)
        if ran.returncode != 0:
            say(ran.stdout + ran.stderr)
            return False
    return has_ensurepip()


def has_ensurepip() -> bool:
    return subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fail(message: str, remedy: str) -> int:
    say(f"error: {message}\n{remedy}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
