"""Remove from a host what two instances must not share, and print each path that was there.

    scrub.py [--check] [--root DIR] [PATTERN ...]

With --check nothing is removed. Python 3.9+, standard library only.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

# Gone altogether.
PATTERNS = (
    # identity
    "/etc/ssh/ssh_host_*",
    "/etc/docker/key.json",
    "/var/lib/docker/engine-id",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/lib/urandom/random-seed",
    "/boot/efi/loader/random-seed",
    "/etc/ollama-gpu/instance.json",
    # keys and secrets
    "/run/ollama-gpu",
    "/etc/haproxy/tls/*",
    "/etc/ssl/private/ssl-cert-snakeoil.key",
    "/root/.ssh",
    "/home/*/.ssh",
    "/root/.docker",
    "/home/*/.docker",
    "/root/.aws",
    "/home/*/.aws",
    # what people and tools leave in a home
    "/root/.*_history",
    "/home/*/.*_history",
    "/root/.lesshst",
    "/home/*/.lesshst",
    "/root/.viminfo",
    "/home/*/.viminfo",
    "/root/.wget-hsts",
    "/home/*/.wget-hsts",
    "/root/.cache",
    "/home/*/.cache",
    "/root/.ansible",
    "/home/*/.ansible",
    # a specification of the GPUs is right on the host that made it only
    "/etc/cdi/*",
    "/var/run/cdi/*",
    # the first boot is a first one
    "/var/lib/cloud/*",
    "/var/lib/ollama-gpu/boot",
    "/var/lib/dhcp/*",
    "/var/lib/dhclient/*",
    "/var/lib/NetworkManager/*",
    "/var/lib/systemd/timers/*",
    "/var/lib/systemd/coredump/*",
    "/var/crash/*",
    "/var/mail/*",
    # caches
    "/var/cache/ollama-gpu",
    "/var/cache/apt/*.bin",
    "/var/cache/apt/archives/*.deb",
    "/var/lib/apt/lists/*",
    "/var/cache/dnf/*",
    "/var/cache/yum/*",
    "/var/tmp/*",  # noqa: S108, removed and not used
)

# Emptied of files: services expect the folders, with their owners.
EMPTIED = ("/var/log",)

# There, but without content: systemd writes a new id into it at boot.
TRUNCATED = ("/etc/machine-id",)

# Folders that are somebody's while the host runs.
KEPT = ("systemd-private-*", "partial", "lock")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", default="/", type=Path)
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args(arguments)
    here = Path(__file__).resolve()
    for path in found(options.root, options.patterns):
        if options.check and path in here.parents:
            continue  # Ansible put this program there, and takes it away again
        print(path)
        if not options.check:
            remove(path)
    for path in contents(options.root):
        print(path)
        if not options.check:
            path.write_text("")
    return 0


def found(root: Path, more: list[str]) -> Iterator[Path]:
    """What is there to be removed."""
    for pattern in [*PATTERNS, *more]:
        for path in sorted(root.glob(pattern.lstrip("/"))):
            if not any(fnmatch(path.name, kept) for kept in KEPT):
                yield path
    for folder in EMPTIED:
        yield from (path for path in sorted((root / folder.lstrip("/")).rglob("*")) if is_file(path))
    # a copy of the machine id; where it is a link it follows the original
    copy = root / "var/lib/dbus/machine-id"
    if is_file(copy):
        yield copy


def contents(root: Path) -> Iterator[Path]:
    """What is there to be emptied."""
    for name in TRUNCATED:
        path = root / name.lstrip("/")
        if path.is_file() and path.stat().st_size > 0:
            yield path


def is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
