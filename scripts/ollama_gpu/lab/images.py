"""Images made from Debian's packages, for a machine that can pull none: mmdebstrap, then `docker import`."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.progress import ProgressView

from . import execution
from .docker import LABEL, Docker
from .host_settings import HostSettings
from .recipe import key
from .stage import stage

_APT_SETTINGS = Path("etc/apt/apt.conf.d/90ollama-gpu-lab")


@dataclass(frozen=True)
class Image:
    """An image by its recipe. ``files`` are written into it (path and text); ``changes`` are Dockerfile lines."""

    name: str
    packages: tuple[str, ...]
    suite: str = "bookworm"
    files: tuple[tuple[str, str], ...] = ()
    changes: tuple[str, ...] = ()

    def key(self, host: HostSettings) -> str:
        """From what it is made of and how this machine reaches the outside; no date: a rebuild is asked for."""
        return key(self.suite, self.packages, self.files, self.changes, host.inputs())

    def reference(self, host: HostSettings) -> str:
        """Its name and tag."""
        return f"ollama-gpu/{self.name}:{self.key(host)}"

    @property
    def latest(self) -> str:
        """A name that stays the same: the one made or used last on this machine."""
        return f"ollama-gpu/{self.name}:latest"


_BASE = Path(__file__).with_name("base-image")
_DATA_SOURCES = "usr/lib/python3/dist-packages/ollama_gpu_lab"

BASE = Image(
    "base",
    # What Debian's cloud images have of what roles rely on, and no more: a role must install what it needs.
    (
        *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "iproute2", "sudo"),
        *("python3", "python3-apt", "ca-certificates", "cloud-init", "curl", "gnupg"),
    ),
    files=(
        ("etc/cloud/cloud.cfg.d/90-ollama-gpu-lab.cfg", (_BASE / "cloud-init.cfg").read_text(encoding="utf-8")),
        (f"{_DATA_SOURCES}/__init__.py", ""),
        (f"{_DATA_SOURCES}/DataSourceEc2.py", (_BASE / "DataSourceEc2.py").read_text(encoding="utf-8")),
        # An empty unit is a masked one: this stage would wait for DHCP, which Docker's networks do not have.
        ("etc/systemd/system/cloud-init-local.service", ""),
    ),
    changes=('CMD ["/sbin/init"]', "STOPSIGNAL SIGRTMIN+3"),
)
"""A stock Debian 12 with systemd: what an instance is before any role has run."""

BUILDER = Image(
    "builder",
    (
        "ca-certificates",
        "g++",
        "nlohmann-json3-dev",
        "libstb-dev",
        "zstd",
        "dpkg-dev",
        "debhelper",
        "fakeroot",
        "apt-utils",
        "gnupg",
    ),
)
"""Compilers and packers: what is built in here runs on every Debian 12 and newer, whatever this machine is."""

PYTHON = Image("python", ("ca-certificates", "python3", "python3-venv"))
"""Base of images with Python programs, in the place of docker.io/library/debian:bookworm-slim."""


def ensure(image: Image, host: HostSettings, docker: Docker, logs: Path, view: ProgressView, force: bool) -> str:
    """The reference of an image, made when it is not there (``force``: anyhow, with fresh packages)."""
    reference = image.reference(host)
    if force or docker.image(reference) is None:
        with stage(view, f"image {image.name}"):
            _make(image, host, docker, logs / f"image-{image.name}.log", view)
    return reference


def _make(image: Image, host: HostSettings, docker: Docker, log: Path, view: ProgressView) -> None:
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-image-") as scratch:
        archive, overlay = Path(scratch) / "image.tar", Path(scratch) / "overlay"
        _write_overlay(image, host, overlay)
        what = f"Making the image {image.name}"
        execution.execute(_mmdebstrap(image, host, overlay, archive), what, log, view)
        rootfs = f"ollama-gpu/{image.name}:rootfs"
        docker.execute("import", str(archive), rootfs, what=what, log=log, view=view)
    # A build, since `import --change` does not know STOPSIGNAL.
    dockerfile = "\n".join((f"FROM {rootfs}", f"LABEL {LABEL}=image", *image.changes))
    docker.output("build", "--quiet", f"--tag={image.reference(host)}", f"--tag={image.latest}", "-", text=dockerfile)
    docker.output("rmi", "--no-prune", rootfs)


def _mmdebstrap(image: Image, host: HostSettings, overlay: Path, archive: Path) -> list[str]:
    chroot = '"$1"'
    sources = host.sources(image.suite)
    hooks = [
        # The sources as a cloud image has them, in the overlay, instead of mmdebstrap's own file.
        *([f"rm -f {chroot}/etc/apt/sources.list"] if sources else []),
        f"cp -rT --no-preserve=mode,ownership {shlex.quote(str(overlay))} {chroot}",
        f"chroot {chroot} update-ca-certificates",
    ]
    return [
        *_polite(),
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(image.packages)}",
        *(f'--aptopt={option} "{value}"' for option, value in host.apt.items()),
        *(f"--customize-hook={hook}" for hook in hooks),
        image.suite,
        str(archive),
        *sources,
    ]


def _write_overlay(image: Image, host: HostSettings, overlay: Path) -> None:
    settings = "".join(f'{option} "{value}";\n' for option, value in host.apt.items())
    files = list(image.files)
    if host.sources(image.suite):
        files.append(("etc/apt/sources.list.d/debian.sources", _deb822(image.suite, host)))
    if settings:
        files.append((str(_APT_SETTINGS), "// How the machine that made this image reaches Debian.\n" + settings))
    for name, text in files:
        path = overlay / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    host.write_certificates(overlay / "usr/local/share/ca-certificates")


def _deb822(suite: str, host: HostSettings) -> str:
    stanzas = [(host.debian, f"{suite} {suite}-updates"), (host.security, f"{suite}-security")]
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        for uri, suites in stanzas
    )


def _polite() -> Sequence[str]:
    return ("nice", "-n", "10") if shutil.which("nice") else ()
