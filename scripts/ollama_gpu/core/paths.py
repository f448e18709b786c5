"""The paths of the repository and of the working folder, which is not committed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.core.errors import UserError

_WORK = ".ollama-gpu"


@dataclass(frozen=True)
class Paths:
    """The folders that the driver reads or writes, derived from two roots.

    ``repository`` is the committed tree. ``work`` (OLLAMA_GPU_WORK, by default ``.ollama-gpu/``) contains disposable
    files: Terraform's data, saved plans, logs, the embedded AWS.
    """

    repository: Path
    work: Path

    @property
    def is_default(self) -> bool:
        """Whether the working folder is the one in the checkout."""
        return self.work == self.repository / _WORK

    @property
    def terraform(self) -> Path:
        return self.repository / "terraform"

    @property
    def environments(self) -> Path:
        return self.terraform / "environments"

    @property
    def contract(self) -> Path:
        return self.repository / "contract" / "instance.yaml"

    @property
    def embedded_aws(self) -> Path:
        return self.work / "embedded-aws"

    @property
    def lab(self) -> Path:
        """The lab's folder: logs, the followers' records, the variables of the lab's supplies."""
        return self.work / "lab"

    @property
    def lab_variables(self) -> Path:
        """The variables file of the lab's supplies; molecule and the bake load it with ``-e @``."""
        return self.lab / "supplies.yml"

    def environment(self, name: str) -> Path:
        """The working folder of one environment, not shared with other environments."""
        return self.work / "environments" / name


def locate() -> Paths:
    """The paths of the checkout from which this package is installed (an editable install)."""
    repository = Path(__file__).resolve().parents[3]
    work = os.environ.get("OLLAMA_GPU_WORK")
    return Paths(repository, Path(work).resolve() if work else repository / _WORK)


def make_folder(folder: Path) -> None:
    """Create a working folder. Raises UserError if the disk is full or not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot create the working folder {folder}: {error.strerror}.",
            "Free disk space, or set OLLAMA_GPU_WORK to another folder.",
        ) from error
