"""The Terraform tree of a release: packed as it was on disk, committed or not, and stored in S3."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.core import s3
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths, make_folder
from ollama_gpu.environment.context import Context

TREE = ("contract", "terraform")
BOOT = "ansible_collections/ollama/gpu/roles/boot/files/ollama-gpu-boot"
"""The only file outside the tree that the Terraform code reads."""

_EXCLUDED = (".terraform", "tests", "bootstrap")


@dataclass(frozen=True)
class Archive:
    """A packed tree and its digest, which names it in the bucket."""

    content: bytes
    sha256: str


def pack(paths: Paths, environment: str) -> Archive:
    """Pack the Terraform tree with one environment's variables. The same tree gives the same bytes."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for path in sorted(files(paths.repository, environment)):
            content = (paths.repository / path).read_bytes()
            member = tarfile.TarInfo(path.as_posix())
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return Archive(packed.getvalue(), hashlib.sha256(packed.getvalue()).hexdigest())


def files(repository: Path, environment: str) -> Iterator[Path]:
    """Yield every file that a plan of the environment reads, relative to the repository."""
    yield Path(BOOT)
    for path in (each for folder in TREE for each in (repository / folder).rglob("*") if each.is_file()):
        relative = path.relative_to(repository)
        foreign = relative.parent.name == "environments" and relative.name.split(".")[0] != environment
        if not foreign and not set(_EXCLUDED) & set(relative.parts) and ".tfstate" not in relative.name:
            yield relative


def upload(context: Context, archive: Archive) -> None:
    """Upload the archive to the artifact bucket, unless it is already there."""
    bucket, key = _location(context, archive.sha256)
    if not s3.has_object(context.aws, bucket, key):
        s3.put(context.aws, bucket, key, archive.content, archive.sha256)


def fetch(context: Context, sha256: str) -> Archive:
    """Download an archive by its digest. Raises UserError if it does not exist or its content differs."""
    bucket, key = _location(context, sha256)
    content = s3.read(context.aws, bucket, key)
    if content is None:
        raise UserError(f"s3://{bucket}/{key} no longer exists.", _REMEDY)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"s3://{bucket}/{key} was modified: its digest differs.", _REMEDY)
    return Archive(content, sha256)


def unpack(archive: Archive, folder: Path) -> Path:
    """Unpack into a subfolder of ``folder`` and return it. It serves as the repository root in Paths."""
    target = folder / archive.sha256[:12]
    make_folder(target)
    with tarfile.open(fileobj=io.BytesIO(archive.content), mode="r:gz") as packed:
        packed.extractall(target, filter="data")
    return target


def texts(archive: Archive) -> dict[str, str]:
    """Return the content of every file by path."""
    with tarfile.open(fileobj=io.BytesIO(archive.content), mode="r:gz") as packed:
        return {
            member.name: file.read().decode("utf-8", "replace")
            for member in packed.getmembers()
            if (file := packed.extractfile(member)) is not None
        }


def _location(context: Context, sha256: str) -> tuple[str, str]:
    key = context.contract.artifacts["archive"]
    return context.artifact_bucket, key.format(environment=context.environment.name, sha256=sha256)


_REMEDY = "Check out the release's commit, and deploy from that checkout."
