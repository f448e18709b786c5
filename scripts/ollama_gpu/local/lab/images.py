"""Builds images from Debian packages by mmdebstrap and `docker import`, because the lab can pull no images."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.local.usual import Usual
from ollama_gpu.terraform.progress import ProgressView

from . import processes
from .build_cache import key
from .docker import LABEL, Docker
from .host_settings import HostSettings
from .how_far import DebianPackages, Layers
from .progress_step import progress_step

_APT_SETTINGS = Path("etc/apt/apt.conf.d/90ollama-gpu-lab")


@dataclass(frozen=True)
class Image:
    """The definition of an image. ``files`` (path and text) are written into it; ``changes`` are Dockerfile lines."""

    name: str
    packages: tuple[str, ...]
    suite: str = "bookworm"
    files: tuple[tuple[str, str], ...] = ()
    changes: tuple[str, ...] = ()
    purpose: str = "an image of the lab"

    @property
    def title(self) -> str:
        """The name of the step that builds it."""
        return f"image {self.name}"

    def key(self, host: HostSettings) -> str:
        """Return the key of the definition and this machine's settings. It has no date: rebuilds are on request."""
        return key(self.suite, self.packages, self.files, self.changes, host.inputs())

    def reference(self, host: HostSettings) -> str:
        """Return the image's name and tag."""
        return f"ollama-gpu/{self.name}:{self.key(host)}"

    @property
    def latest(self) -> str:
        """The fixed name of the image that was built last on this machine."""
        return f"ollama-gpu/{self.name}:latest"


_BASE = Path(__file__).with_name("base-image")
_DATA_SOURCES = "usr/lib/python3/dist-packages/ollama_gpu_lab"

BASE = Image(
    "base",
    # The packages of Debian's cloud images that roles rely on, and no others: a role must install what it needs.
    (
        *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "iproute2", "sudo"),
        *("python3", "python3-apt", "ca-certificates", "cloud-init", "curl", "gnupg"),
    ),
    files=(
        ("etc/cloud/cloud.cfg.d/90-ollama-gpu-lab.cfg", (_BASE / "cloud-init.cfg").read_text(encoding="utf-8")),
        (f"{_DATA_SOURCES}/__init__.py", ""),
        (f"{_DATA_SOURCES}/DataSourceEc2.py", (_BASE / "DataSourceEc2.py").read_text(encoding="utf-8")),
        # An empty unit is masked. This unit would wait for DHCP, which Docker's networks do not have.
        ("etc/systemd/system/cloud-init-local.service", ""),
    ),
    changes=('CMD ["/sbin/init"]', "STOPSIGNAL SIGRTMIN+3"),
    purpose="the stock Debian that instances start from",
)
"""A stock Debian 12 with systemd: an instance before any role has run."""

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
    purpose="the compilers for Ollama and the Container Toolkit",
)
"""Compilers and packaging tools. Programs that are built in it run on Debian 12 and newer."""

PYTHON = Image("python", ("ca-certificates", "python3", "python3-venv"), purpose="the base of Open WebUI's image")
"""Base of images with Python programs, in place of docker.io/library/debian:bookworm-slim."""


def ensure(
    image: Image,
    host: HostSettings,
    docker: Docker,
    logs: Path,
    view: ProgressView,
    force: bool,
    usual: Usual | None = None,
) -> str:
    """Build an image if it does not exist or with ``force`` (then with current packages); return its reference."""
    reference = image.reference(host)
    if force or docker.image(reference) is None:
        why = f"{image.purpose}; built from {len(image.packages)} Debian packages and what they need"
        with progress_step(view, image.title, why, usual):
            _build(image, host, docker, logs / f"image-{image.name}.log", view)
    return reference


def pull(
    image: Image, repository: str, host: HostSettings, docker: Docker, logs: Path, view: ProgressView, usual: Usual
) -> str:
    """Pull Debian's own image of the suite in place of ``image``, if it does not exist; return the reference."""
    reference = image.reference(host)
    if docker.image(reference) is None:
        debian = f"{repository}:{image.suite}-slim"
        log = logs / f"image-{image.name}.log"
        with progress_step(view, image.title, f"{image.purpose}; pulled: {debian}", usual, f"{image.title} (pulled)"):
            docker.execute("pull", debian, what=f"Pulling {debian}", log=log, view=view, how_far=Layers())
            _label(debian, image, host, docker)
    return reference


def _label(source: str, image: Image, host: HostSettings, docker: Docker) -> None:
    # A build, because `docker import --change` does not support STOPSIGNAL.
    dockerfile = "\n".join((f"FROM {source}", f"LABEL {LABEL}=image", *image.changes))
    docker.output("build", "--quiet", f"--tag={image.reference(host)}", f"--tag={image.latest}", "-", text=dockerfile)


def _build(image: Image, host: HostSettings, docker: Docker, log: Path, view: ProgressView) -> None:
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-image-") as scratch:
        archive, overlay = Path(scratch) / "image.tar", Path(scratch) / "overlay"
        _write_overlay(image, host, overlay)
        what = f"Building the image {image.name}"
        processes.execute(_mmdebstrap(image, host, overlay, archive), what, log, view, how_far=DebianPackages())
        rootfs = f"ollama-gpu/{image.name}:rootfs"
        docker.execute("import", str(archive), rootfs, what=what, log=log, view=view)
    _label(rootfs, image, host, docker)
    docker.output("rmi", "--no-prune", rootfs)


def _mmdebstrap(image: Image, host: HostSettings, overlay: Path, archive: Path) -> list[str]:
    chroot = '"$1"'
    sources = host.sources(image.suite)
    hooks = [
        # The overlay has the sources, in a cloud image's form, in place of mmdebstrap's file.
        *([f"rm -f {chroot}/etc/apt/sources.list"] if sources else []),
        f"cp -rT --no-preserve=mode,ownership {shlex.quote(str(overlay))} {chroot}",
        f"chroot {chroot} update-ca-certificates",
    ]
    return [
        *_low_priority(),
        "mmdebstrap",
        "--variant=minbase",
        "--verbose",  # each package, for the progress
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
        files.append((str(_APT_SETTINGS), "// Access to Debian, from the machine that built this image.\n" + settings))
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


def _low_priority() -> Sequence[str]:
    return ("nice", "-n", "10") if shutil.which("nice") else ()
