"""Remove files that instances must not share, and print each path found.

    scrub.py [--check] [--root DIR] [PATTERN ...]

--check prints the paths without removing them. Python 3.9+, standard library only.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

# Removed.
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
    # files that users and tools leave in home folders
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
    # a GPU specification is valid only on the host that generated it
    "/etc/cdi/*",
    "/var/run/cdi/*",
    # state that would make cloud-init and others skip their first-boot work
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
    "/var/tmp/*",  # noqa: S108, the folder is emptied, not used
)

# Files removed, folders kept: services expect the folders with their owners.
EMPTIED = ("/var/log",)

# Truncated: systemd writes a new ID at boot.
TRUNCATED = ("/etc/machine-id",)

# Folders in use while the host runs.
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
            continue  # Ansible copied this program there and removes it again
        print(path)
        if not options.check:
            remove(path)
    for path in contents(options.root):
        print(path)
        if not options.check:
            path.write_text("")
    return 0


def found(root: Path, more: list[str]) -> Iterator[Path]:
    """Yield the paths to remove."""
    for pattern in [*PATTERNS, *more]:
        for path in sorted(root.glob(pattern.lstrip("/"))):
            if not any(fnmatch(path.name, kept) for kept in KEPT):
                yield path
    for folder in EMPTIED:
        yield from (path for path in sorted((root / folder.lstrip("/")).rglob("*")) if is_file(path))
    # a copy of the machine ID; a link needs no removal
    copy = root / "var/lib/dbus/machine-id"
    if is_file(copy):
        yield copy


def contents(root: Path) -> Iterator[Path]:
    """Yield the files to truncate."""
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
