"""Where things are: the tree that is committed, and the working folder that is not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.errors import UserError

_WORK = ".ollama-gpu"


@dataclass(frozen=True)
class Paths:
    """Every folder that the driver reads or writes, derived from two roots.

    ``repository`` holds the committed tree; ``work`` (``.ollama-gpu/`` unless OLLAMA_GPU_WORK says
    otherwise) holds what can be thrown away: Terraform's data, saved plans, logs, the embedded AWS.
    """

    repository: Path
    work: Path

    @property
    def is_default(self) -> bool:
        """Whether the working folder is the checkout's own."""
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

    def environment(self, name: str) -> Path:
        """The working folder of one environment: nothing in it is shared with another."""
        return self.work / "environments" / name


def locate() -> Paths:
    """The paths of the checkout that this package was installed from (an editable install)."""
    repository = Path(__file__).resolve().parents[2]
    work = os.environ.get("OLLAMA_GPU_WORK")
    return Paths(repository, Path(work).resolve() if work else repository / _WORK)


def make_folder(folder: Path) -> None:
    """Make a working folder. Raises UserError when the disk is full or not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The working folder {folder} cannot be made: {error.strerror}.",
            "Free some space, or set OLLAMA_GPU_WORK to another folder.",
        ) from error
