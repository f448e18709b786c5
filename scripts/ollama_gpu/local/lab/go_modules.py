"""Builds Go modules: the source has a pinned checksum, and its dependencies have the checksums of its go.sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .builder import Builder, Mount
from .how_far import GoPackages
from .supplies import go


@dataclass(frozen=True)
class Module:
    """A module of the Go proxy; ``checksum`` is that of its zip file, in go.sum's form (h1:...)."""

    path: str
    version: str
    checksum: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[1]

    def fetch(self) -> str:
        """Return shell lines that download the module and refuse any content but the pinned one."""
        where = f"${{TMPDIR:-/tmp}}/{self.name}"
        return (
            f"go mod download -json {self.path}@{self.version} > {where}.json\n"
            f'grep -qF \'"Sum": "{self.checksum}"\' {where}.json || '
            f"{{ cat {where}.json; echo '{self.path}@{self.version} is not the pinned one'; exit 1; }}\n"
            # A copy: the module cache is read-only, and a build in the module's folder uses the module's go.sum.
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
    packages: str = "./...",
) -> None:
    """Run ``script`` with a Go toolchain, the sources of ``modules`` at /tmp/<name>, and ``output`` at /out.

    ``packages`` of the first module and their dependencies are the total that the progress shows.
    """
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
        "GOTOOLCHAIN": "local",  # only the pinned toolchain
        "GOMODCACHE": "/go/modules",
        "GOCACHE": "/go/objects",
        **(environment or {}),
    }
    # Not in the callers' scripts, which are part of the keys of their results: progress must not rebuild anything.
    values["GOFLAGS"] = f"{values.get('GOFLAGS', '')} -v".strip()
    count = f'echo "packages: $(cd /tmp/{modules[0].name} && go list -deps {packages} | wc -l)"\n'
    fetch = "".join(module.fetch() for module in modules)
    builder.run(what, fetch + count + script, mounts, values, how_far=GoPackages())
