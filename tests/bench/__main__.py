"""Measure the product: `python -m tests.bench [--json] [fabric|image|serving|capacity ...]`, by default everything.

What is compared runs one after the other, so that nothing disturbs it but the machine itself. The fabric takes about
ten minutes, the image a quarter of an hour; serving and capacity share one ENV=local and take half an hour. Times are
wall-clock seconds; memory is the peak of the sum of resident sets of a program's processes, sampled every 0.2 s, in
MiB, and in the serving part what is resident at that moment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from tests.bench import capacity, fabric, image, lab, serving
from tests.serving.conftest import Serving

PARTS: dict[str, Callable[[], dict[str, Any]]] = {"fabric": fabric.figures, "image": image.figures}
LAB_PARTS: dict[str, Callable[[Serving], dict[str, Any]]] = {"serving": serving.figures, "capacity": capacity.figures}


def main(arguments: Sequence[str]) -> int:
    there_are = [*PARTS, *LAB_PARTS]
    parts = [argument for argument in arguments if argument != "--json"] or there_are
    unknown = [part for part in parts if part not in there_are]
    if unknown:
        print(f"There is no part {', '.join(unknown)}; there are {', '.join(there_are)}.", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {}
    for part, measured in PARTS.items():
        if part in parts:
            figures |= measured()
    if wanted := [measured for part, measured in LAB_PARTS.items() if part in parts]:
        with lab.environment() as (environment, deploys):
            figures |= deploys
            for measured_there in wanted:
                figures |= measured_there(environment)
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
