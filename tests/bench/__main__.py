"""Measure the product on this machine: `python -m tests.bench [--json] [fabric|image ...]`, by default everything.

What is compared runs one after the other, so that nothing disturbs it but the machine itself. The fabric takes about
ten minutes, the image a quarter of an hour. Times are wall-clock seconds; memory is the peak of the sum of resident
sets of a program's processes, sampled every 0.2 s, in MiB.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from tests.bench import fabric, image

PARTS: dict[str, Callable[[], dict[str, Any]]] = {"fabric": fabric.figures, "image": image.figures}


def main(arguments: Sequence[str]) -> int:
    parts = [argument for argument in arguments if argument != "--json"] or list(PARTS)
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        print(f"There is no part {', '.join(unknown)}; there are {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {}
    for part in parts:
        figures |= PARTS[part]()
    if "--json" in arguments:
        print(json.dumps(figures, indent=2, default=plain))
    else:
        show(figures)
    return 0


def show(figures: dict[str, Any]) -> None:
    for name, value in figures.items():
        for each in value if isinstance(value, list) else [value]:
            print(f"{name}: {each}")


def plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
