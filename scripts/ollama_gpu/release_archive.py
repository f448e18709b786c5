"""What Terraform applied, kept with its release: the tree of one environment as it lay on disk, committed or not."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu import s3
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.paths import Paths, make_folder

TREE = ("contract", "terraform")
BOOT = "ansible_collections/ollama/gpu/roles/boot/files/ollama-gpu-boot"
"""The one file outside the tree that its HCL reads."""

_WITHOUT = (".terraform", "tests", "bootstrap")


@dataclass(frozen=True)
class Archive:
    """A packed tree and its digest, which is also its name in the bucket."""

    content: bytes
    sha256: str


def pack(paths: Paths, environment: str) -> Archive:
    """Pack the Terraform tree with one environment's variables; the same tree gives the same bytes."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for path in sorted(files(paths.repository, environment)):
            content = (paths.repository / path).read_bytes()
            member = tarfile.TarInfo(path.as_posix())
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return Archive(packed.getvalue(), hashlib.sha256(packed.getvalue()).hexdigest())


def files(repository: Path, environment: str) -> Iterator[Path]:
    """Every file that a plan of the environment reads, relative to the repository."""
    yield Path(BOOT)
    for path in (each for folder in TREE for each in (repository / folder).rglob("*") if each.is_file()):
        relative = path.relative_to(repository)
        other = relative.parent.name == "environments" and relative.name.split(".")[0] != environment
        if not other and not set(_WITHOUT) & set(relative.parts) and ".tfstate" not in relative.name:
            yield relative


def keep(context: Context, archive: Archive) -> None:
    """Put the archive into the artifact bucket, unless it lies there already."""
    bucket, key = _place(context, archive.sha256)
    if not s3.has_object(context.aws, bucket, key):
        s3.put(context.aws, bucket, key, archive.content, archive.sha256)


def fetch(context: Context, sha256: str) -> Archive:
    """The archive of that digest. Raises UserError when the bucket has it no more, or has another content."""
    bucket, key = _place(context, sha256)
    content = s3.read(context.aws, bucket, key)
    if content is None:
        raise UserError(f"s3://{bucket}/{key} does not exist any more.", _REMEDY)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"s3://{bucket}/{key} is not what was put there: its digest differs.", _REMEDY)
    return Archive(content, sha256)


def unpack(archive: Archive, folder: Path) -> Path:
    """Unpack into a folder of the archive's own below ``folder``, and return that: a repository's root for Paths."""
    target = folder / archive.sha256[:12]
    make_folder(target)
    with tarfile.open(fileobj=io.BytesIO(archive.content), mode="r:gz") as packed:
        packed.extractall(target, filter="data")
    return target


def texts(archive: Archive) -> dict[str, str]:
    """The content of every file by its path."""
    with tarfile.open(fileobj=io.BytesIO(archive.content), mode="r:gz") as packed:
        return {
            member.name: file.read().decode("utf-8", "replace")
            for member in packed.getmembers()
            if (file := packed.extractfile(member)) is not None
        }


def _place(context: Context, sha256: str) -> tuple[str, str]:
    key = context.contract.artifacts["archive"]
    return context.artifact_bucket, key.format(environment=context.environment.name, sha256=sha256)


_REMEDY = "Check the release's commit out and deploy it from there."
