"""The cost of each fault, in the tier's log: a line for people and one of JSON. docs/faults.md has a table."""

from __future__ import annotations

import json

import pytest

from tests.serving.traffic import Figures


class Report:
    """Prints figures immediately, bypassing pytest's capture."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, fault: str, figures: Figures, **seconds: float) -> None:
        """``seconds``: other durations from the fault on, by name."""
        timed = {name: round(value, 1) for name, value in seconds.items()}
        also = "".join(f"; {name.replace('_', ' ')} {value} s" for name, value in timed.items())
        row = {"fault": fault, **figures.as_dict(), "seconds": timed}
        with self._capture.disabled():
            print(f"\nfault: {fault}: {figures}{also}\n{json.dumps(row)}")
