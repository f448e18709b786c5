"""Make .venv from requirements.lock, once per content of the lock. Standard library only: it runs before all else.

Silent when there is nothing to do; says on standard error what it does, so that `make outputs JSON=1` stays clean.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / ".lock-digest"


def main() -> int:
    if sys.version_info < (3, 11):
        return fail(
            f"Python {sys.version.split()[0]} is too old.",
            "Install Python 3.11 or newer, or name one: make PYTHON=python3.12 ...",
        )
    digest = hashlib.sha256(
        b"".join((ROOT / name).read_bytes() for name in ("requirements.lock", "pyproject.toml"))
    ).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == digest and (VENV / "bin" / "ollama-gpu").is_file():
        return 0
    if not ensure_venv_module():
        return fail(
            "This Python cannot make virtual environments (no ensurepip).", "As root: apt-get install python3-venv"
        )
    say(f"setup: installing the locked packages into {VENV.name} (about a minute, once)")
    shutil.rmtree(VENV, ignore_errors=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    steps = [
        [sys.executable, "-m", "venv", str(VENV)],
        [*pip, "--require-hashes", "--requirement", str(ROOT / "requirements.lock")],
        # Without build isolation, so that nothing is fetched that the lock does not name.
        [*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
    ]
    for step in steps:
        # pip's own words go to standard error too: they explain a failure better than we could.
        if subprocess.run(step, stdout=sys.stderr).returncode != 0:
            shutil.rmtree(VENV, ignore_errors=True)
            return fail(
                f"`{' '.join(step[:5])} ...` failed; its message is above.",
                "Check the network and pip's index, then run it again.",
            )
    STAMP.write_text(digest)
    return 0


def ensure_venv_module() -> bool:
    """Debian keeps ensurepip in a package of its own; as root it is installed here."""
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
