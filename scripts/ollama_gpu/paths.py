"""Where things are: the tree that is committed, and the working folder that is not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Every folder that the driver reads or writes, derived from two roots.

    ``repository`` holds the committed tree; ``work`` (``.ollama-gpu/`` unless OLLAMA_GPU_WORK says
    otherwise) holds what can be thrown away: Terraform's data, saved plans, logs, the embedded AWS.
    """

    repository: Path
    work: Path

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
    return Paths(repository, Path(work).resolve() if work else repository / ".ollama-gpu")
