"""How long the steps of ENV=local usually take: by the records of this machine, else by the project's measurement.

The records are in the user's cache, because other checkouts on this machine take as long.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ollama_gpu.core import files
from ollama_gpu.local.measured import MEASURED

ACCOUNT, IMAGE_CHECK, IMAGE_BUILD, MODEL_SET = "account", "image check", "image build", "model set"
FABRIC, INSTANCES, CHAT = "plan and apply", "instances", "chat"
"""The names of a deploy's steps in the records. `ollama_gpu.local.lab.supply` has those of the supplies."""

RECORDS = 5
"""The median of the last runs is used, so that one run on a busy machine does not count."""

_lock = threading.Lock()


@dataclass(frozen=True)
class Usual:
    """The durations of steps, in seconds, by the step's name. ``cache`` has the records of this machine."""

    cache: Path

    @property
    def file(self) -> Path:
        return self.cache / "durations.json"

    def seconds(self, step: str) -> float | None:
        """Return the usual duration of a step; None if it was never measured."""
        return _seconds(self._read(), step)

    def total(self, steps: Iterable[str]) -> float:
        """Return the sum of the usual durations."""
        records = self._read()
        return sum(_seconds(records, step) or 0.0 for step in steps)

    def is_of_this_machine(self, steps: Iterable[str]) -> bool:
        """Whether this machine has records of all these steps."""
        records = self._read()
        return all(step in records for step in steps)

    def record(self, step: str, seconds: float) -> None:
        """Remember how long a step took. A cache that cannot be written is no error."""
        with _lock, suppress(OSError):
            records = self._read()
            records[step] = [*records.get(step, []), round(seconds, 1)][-RECORDS:]
            self.cache.mkdir(parents=True, exist_ok=True)
            files.replace(self.file, json.dumps(records, indent=1, sort_keys=True))

    def _read(self) -> dict[str, list[float]]:
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {
            step: values
            for step, values in found.items()
            if isinstance(values, list) and values and all(isinstance(each, int | float) for each in values)
        }


def _seconds(records: Mapping[str, list[float]], step: str) -> float | None:
    found = records.get(step)
    return median(found) if found else MEASURED.get(step)
