"""Build the collection's archive for a release. The build is reproducible: the same tree gives the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_gpu.core.errors import UserError

NAME = "ollama-gpu-collection.tar.gz"


@dataclass(frozen=True)
class Archive:
    """A built collection and the digest that instances verify."""

    path: Path
    sha256: str


def source(repository: Path) -> Path:
    """The collection's folder in a checkout or in a tree with the same layout."""
    return repository / "ansible_collections" / "ollama" / "gpu"


def role(repository: Path, name: str) -> Path:
    """The folder of a role of the collection."""
    return source(repository) / "roles" / name


def build(repository: Path, folder: Path) -> Archive:
    """Build the collection into ``folder`` with ansible-galaxy, then remove everything that differs between builds.

    Raises UserError with ansible-galaxy's message if the build fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [str(Path(sys.executable).with_name("ansible-galaxy")), "collection", "build", "--force"]
        built = subprocess.run(
            [*command, str(source(repository)), "--output-path", scratch], capture_output=True, text=True
        )
        if built.returncode != 0:
            raise UserError(f"Cannot build the collection: {built.stderr.strip()}", "Fix the error, then try again.")
        content = _reproducible(next(Path(scratch).glob("*.tar.gz")))
        unfinished = Path(scratch) / NAME
        unfinished.write_bytes(content)
        path = unfinished.replace(folder / NAME)
    return Archive(path, hashlib.sha256(content).hexdigest())


def _reproducible(built: Path) -> bytes:
    """Repack the archive: members and both manifests sorted by name, without times and owners."""
    members: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    with tarfile.open(built) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.isfile() else None
            members[member.name] = (member, file.read() if file else b"")

    files = json.loads(members["FILES.json"][1])
    files["files"].sort(key=lambda entry: entry["name"])
    manifest = json.loads(members["MANIFEST.json"][1])
    listed = _json(files)
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(listed).hexdigest()
    members["FILES.json"] = (members["FILES.json"][0], listed)
    members["MANIFEST.json"] = (members["MANIFEST.json"][0], _json(manifest))

    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for _, (member, content) in sorted(members.items()):
            member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
            member.size = len(content)
            member.pax_headers = {}
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()
