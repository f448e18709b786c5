"""Makes sure that a Docker Engine answers and that the lab's other programs are installed, by apt if needed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.progress import ProgressView

from . import processes
from .docker import Docker
from .progress_step import progress_step

START_SECONDS = 60.0
PROGRAMS = {"mmdebstrap": ["mmdebstrap", "debian-archive-keyring"]}
"""Programs and their packages. Everything else that builds need is in the lab's images."""

WITHOUT = "Or do without containers: make deploy ENV=local LAB=off"

Action = Literal["install", "start-unit", "start-daemon"]


@dataclass(frozen=True)
class Situation:
    """The state of the machine. ``chosen`` is DOCKER_HOST, ``why_not`` the error of Docker's command line."""

    answering: bool
    daemon: bool
    chosen: str | None
    root: bool
    apt: bool
    systemd: bool
    why_not: str = ""


def actions(seen: Situation) -> list[Action]:
    """Return the actions after which an engine answers. Raises UserError when only the user can take them."""
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
            f"Install Docker Engine with your system's package manager. {WITHOUT}",
        )
    install: list[Action] = [] if seen.daemon else ["install"]
    return [*install, "start-unit" if seen.systemd else "start-daemon"]


def ensure(docker: Docker, work: Path, view: ProgressView) -> str:
    """Install and start an engine if needed, report each action, and return the engine's version.

    Without systemd, it starts a daemon that continues after the command and logs to ``work``. Raises UserError with a
    remedy, which includes a deploy without the lab.
    """
    version = docker.version()
    if version is None:
        to_do = actions(look(docker))
        with progress_step(view, "container engine"):
            for action in to_do:
                _DO[action](work, view)
            remedy = f"See why in {_log(work)} or `journalctl -u docker`. {WITHOUT}"
            what = "the Docker Engine to answer"
            processes.wait_for(lambda: docker.version() is not None, what, START_SECONDS, remedy, view)
        version = docker.version() or "unknown"
    missing = [
        package for program, packages in PROGRAMS.items() if shutil.which(program) is None for package in packages
    ]
    if missing:
        _refuse_install(missing)
        with progress_step(view, "tools of the lab"):
            install(missing, work, view)
    return version


def install(packages: list[str], work: Path, view: ProgressView) -> None:
    """Update apt's lists and install Debian packages."""
    view.notice(f"lab: installing {', '.join(packages)} by apt")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        what = f"Installing {', '.join(packages)}"
        processes.execute(["apt-get", "-qq", *words], what, work / "logs" / "apt.log", view, environment)


def _install_engine(work: Path, view: ProgressView) -> None:
    install(["docker.io", "iptables", *_client_package()], work, view)


def _start_unit(work: Path, view: ProgressView) -> None:
    processes.execute(["systemctl", "start", "docker"], "Starting Docker", work / "logs" / "docker.log", view)


def look(docker: Docker) -> Situation:
    """Return the state of this machine when no engine answers."""
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
        # A separate session, so that Ctrl-C in this command does not stop the engine and all containers.
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
