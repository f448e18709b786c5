"""A Docker Engine that answers, and the programs that the lab needs beside it: found, started or installed by apt."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView

from . import execution
from .docker import Docker
from .stage import stage

START_SECONDS = 60.0
PROGRAMS = {"mmdebstrap": ["mmdebstrap", "debian-archive-keyring"]}
"""Program and the packages that it takes; everything else that builds need is in images of the lab's own."""

WITHOUT = "Or do without containers: make deploy ENV=local LAB=off"

Action = Literal["install", "start-unit", "start-daemon"]


@dataclass(frozen=True)
class Situation:
    """What was found on the machine. ``why_not`` is what Docker's command line said."""

    answering: bool
    daemon: bool
    chosen: str | None
    root: bool
    apt: bool
    systemd: bool
    why_not: str = ""


def actions(seen: Situation) -> list[Action]:
    """What is to be done so that an engine answers; UserError when that is not ours to do."""
    if seen.answering:
        return []
    if seen.chosen:
        raise UserError(
            f"DOCKER_HOST={seen.chosen} does not answer: {seen.why_not}",
            f"Start that engine, or unset DOCKER_HOST. {WITHOUT}",
        )
    if not seen.root:
        remedy = "Add yourself to the group docker and sign in again" if seen.daemon else "Install a Docker Engine"
        raise UserError(f"No Docker Engine answers: {seen.why_not}", f"{remedy}, or run this as root. {WITHOUT}")
    if not seen.daemon and not seen.apt:
        raise UserError(
            f"No Docker Engine answers ({seen.why_not}), and this system has no apt to install one with.",
            f"Install Docker Engine by your system's own means. {WITHOUT}",
        )
    install: list[Action] = [] if seen.daemon else ["install"]
    return [*install, "start-unit" if seen.systemd else "start-daemon"]


def ensure(docker: Docker, work: Path, view: ProgressView) -> str:
    """The version of an engine that answers, started and installed where need be; says what it does.

    A daemon that it starts itself (where there is no systemd) runs on after the command; its log is in ``work``.
    Raises UserError with the remedy, one of them being to do without.
    """
    version = docker.version()
    if version is None:
        to_do = actions(look(docker))
        with stage(view, "container engine"):
            for action in to_do:
                _DO[action](work, view)
            remedy = f"See why in {_log(work)} or `journalctl -u docker`. {WITHOUT}"
            what = "the Docker Engine to answer"
            execution.wait_for(lambda: docker.version() is not None, what, START_SECONDS, remedy, view)
        version = docker.version() or "unknown"
    missing = [
        package for program, packages in PROGRAMS.items() if shutil.which(program) is None for package in packages
    ]
    if missing:
        _refuse_install(missing)
        with stage(view, "tools of the lab"):
            install(missing, work, view)
    return version


def install(packages: list[str], work: Path, view: ProgressView) -> None:
    """Install Debian packages, once the lists are fresh."""
    view.notice(f"lab: installing {', '.join(packages)} by apt")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        what = f"Installing {', '.join(packages)}"
        execution.execute(["apt-get", "-qq", *words], what, work / "logs" / "apt.log", view, environment)


def _install_engine(work: Path, view: ProgressView) -> None:
    install(["docker.io", "iptables", *_client_package()], work, view)


def _start_unit(work: Path, view: ProgressView) -> None:
    execution.execute(["systemctl", "start", "docker"], "Starting Docker", work / "logs" / "docker.log", view)


def look(docker: Docker) -> Situation:
    """What this machine has, when no engine answers."""
    return Situation(
        answering=False,
        daemon=shutil.which("dockerd") is not None,
        chosen=os.environ.get("DOCKER_HOST"),
        root=os.geteuid() == 0,
        apt=shutil.which("apt-get") is not None,
        systemd=Path("/run/systemd/system").is_dir(),
        why_not=docker.why_not(),
    )


def _refuse_install(packages: list[str]) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        names = " ".join(packages)
        raise UserError(
            f"The lab needs {names}, which is not installed.", f"As root: apt-get install {names}. {WITHOUT}"
        )


def _client_package() -> list[str]:
    # From Debian 13 on, docker.io no longer has the command line.
    ran = subprocess.run(["apt-cache", "show", "docker-cli"], capture_output=True, check=False)
    return ["docker-cli"] if ran.returncode == 0 and ran.stdout else []


def _start_daemon(work: Path, view: ProgressView) -> None:
    log = _log(work)
    log.parent.mkdir(parents=True, exist_ok=True)
    view.notice(f"lab: no systemd here, so dockerd is started in the background; its log: {log}")
    with log.open("ab") as output:
        # A session of its own: Ctrl-C in this command must not end the engine under everybody's containers.
        subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )


def _log(work: Path) -> Path:
    return work / "logs" / "dockerd.log"


_DO: dict[Action, Callable[[Path, ProgressView], None]] = {
    "install": _install_engine,
    "start-unit": _start_unit,
    "start-daemon": _start_daemon,
}
