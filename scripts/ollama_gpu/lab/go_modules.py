"""Builds of Go modules: the source by its pinned checksum, what it depends on by the checksums in its own go.sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .builder import Builder, Mount
from .supplies import go


@dataclass(frozen=True)
class Module:
    """A module of the Go proxy; ``checksum`` is its zip's, as go.sum writes it (h1:...)."""

    path: str
    version: str
    checksum: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[1]

    def fetch(self) -> str:
        """A shell line that downloads the module and refuses another content than the pinned one."""
        where = f"${{TMPDIR:-/tmp}}/{self.name}"
        return (
            f"go mod download -json {self.path}@{self.version} > {where}.json\n"
            f'grep -qF \'"Sum": "{self.checksum}"\' {where}.json || '
            f"{{ cat {where}.json; echo '{self.path}@{self.version} is not the pinned one'; exit 1; }}\n"
            # A copy: the module cache is read-only, and built in its own folder a module's go.sum holds.
            f'cp -r --no-preserve=mode "$(sed -n \'s/.*"Dir": "\\(.*\\)".*/\\1/p\' {where}.json)" {where}\n'
        )


def build(
    builder: Builder,
    cache: Path,
    modules: Sequence[Module],
    script: str,
    output: Path,
    what: str,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run ``script`` with a Go toolchain, the sources of ``modules`` at /tmp/<name>, and ``output`` at /out."""
    caches = cache / "go" / "cache"
    for folder in ("modules", "objects"):
        (caches / folder).mkdir(parents=True, exist_ok=True)
    mounts = [
        Mount(go.root(cache), "/usr/local/go"),
        Mount(caches, "/go", writable=True),
        Mount(output, "/out", writable=True),
    ]
    values = {
        **builder.host.go(),
        "PATH": "/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "GOTOOLCHAIN": "local",  # never another toolchain than the pinned one
        "GOMODCACHE": "/go/modules",
        "GOCACHE": "/go/objects",
        **(environment or {}),
    }
    builder.run(what, "".join(module.fetch() for module in modules) + script, mounts, values)
