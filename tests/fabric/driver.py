"""Run the product as a user does: the command and `make`, as processes, in a separate working folder."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ROOT / ".venv" / "bin" / "ollama-gpu"


@dataclass(frozen=True)
class Run:
    """A finished command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def refused(self, *words: str) -> bool:
        """Check that the command failed as for a user error: status 1 or 2, these words, no traceback."""
        assert self.status in (1, 2), f"status {self.status}\n{self.err}"
        assert "Traceback" not in self.err, self.err
        missing = [word for word in words if word not in self.err]
        assert not missing, f"{missing} not in:\n{self.err}"
        return True


@dataclass(frozen=True)
class Driver:
    """The command with a working folder; ``variables`` are added to the environment, None removes one.

    ``tree`` is the checkout to work on; another checkout uses its own driver code.
    """

    work: Path
    variables: Mapping[str, str | None] = field(default_factory=dict)
    tree: Path = ROOT

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_", "MAKE"))}
        merged = {**kept, "OLLAMA_GPU_WORK": str(self.work), **self.variables}
        if self.tree != ROOT:
            merged["PYTHONPATH"] = str(self.tree / "scripts")
        return {key: value for key, value in merged.items() if value is not None}

    def run(self, *arguments: str, seconds: float = 300) -> Run:
        return self._finish([*self._command(), *arguments], seconds)

    def make(self, *arguments: str, seconds: float = 600) -> Run:
        return self._finish(["make", "--no-print-directory", *arguments], seconds)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command in the background, in a separate process group as a terminal would."""
        return subprocess.Popen(
            [*self._command(), *arguments],
            cwd=self.tree,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def logs(self, command: str, environment: str = "local") -> list[Path]:
        """The raw logs of one Terraform command, oldest first."""
        return sorted((self.work / "environments" / environment / "logs").glob(f"*-{command}.jsonl"))

    def _command(self) -> list[str]:
        if self.tree == ROOT:
            return [str(COMMAND)]
        return [str(COMMAND.with_name("python")), "-c", "from ollama_gpu.cli.app import main; main()"]

    def _finish(self, command: list[str], seconds: float) -> Run:
        done = subprocess.run(
            command,
            cwd=self.tree,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        return Run(done.returncode, done.stdout, done.stderr)


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)
