"""Benchmark the product: `python -m bench [--json] [fabric|image|boot|serving|capacity ...]`. The default is all parts.

The parts run one after the other, so that they do not disturb each other. `fabric` takes about ten minutes and `image`
about 15 minutes; `boot`, `serving` and `capacity` share one ENV=local and take 40 minutes. Times are wall-clock
seconds. Memory is in MiB: the peak of the summed resident sets of a program's processes, sampled every 0.2 s; in the
serving part, the resident memory at that moment.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from bench import boot, capacity, fabric, image, lab, serving
from tests.serving.conftest import Serving

PARTS: dict[str, Callable[[], dict[str, Any]]] = {"fabric": fabric.figures, "image": image.figures}
LAB_PARTS: dict[str, Callable[[Serving], dict[str, Any]]] = {
    "boot": boot.figures,
    "serving": serving.figures,
    "capacity": capacity.figures,
}


def main(arguments: Sequence[str]) -> int:
    known = [*PARTS, *LAB_PARTS]
    parser = ArgumentParser(prog="python -m bench", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(known)} (default: all)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    parts = given.parts or known
    unknown = [part for part in parts if part not in known]
    if unknown:
        print(f"Unknown part: {', '.join(unknown)}. Known parts: {', '.join(known)}.", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {}
    for part, measured in PARTS.items():
        if part in parts:
            figures |= measured()
    if wanted := [measured for part, measured in LAB_PARTS.items() if part in parts]:
        with lab.environment() as (environment, deploys):
            figures |= deploys
            for measure_part in wanted:
                figures |= measure_part(environment)
    if given.json:
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
