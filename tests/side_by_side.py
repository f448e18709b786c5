"""Run tiers side by side, each in a process with a separate log.

The output of a tier is printed when it has ended, so that outputs never mix. The end of a failed tier's output is
printed again at the end of the run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

TAIL_LINES = 40


@dataclass(frozen=True)
class Outcome:
    """Counts of one tier; ``not_run`` is the reason when it did not run."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    not_run: str = ""


@dataclass(frozen=True)
class Ended:
    """A tier that has ended, after ``seconds``, with its output in ``log``.

    ``processor``: the processor seconds of its processes. What runs in containers is not in it.
    """

    name: str
    outcome: Outcome
    seconds: float
    processor: float
    log: Path


def keep(outcome: Outcome, file: Path) -> None:
    """Write an outcome for the process that waits for it."""
    file.write_text(json.dumps(asdict(outcome)))


@dataclass(frozen=True)
class Turn:
    """A tier to run. Tiers with the same ``needs`` run one after the other; an empty string means no restriction.

    ``last``: runs at the lowest priority. ``options``: further arguments of the tier's command.
    """

    name: str
    needs: str = ""
    last: bool = False
    options: tuple[str, ...] = ()


def run(turns: Sequence[Turn], folder: Path, at_once: int) -> list[Ended]:
    """Run tiers, ``at_once`` of them side by side, started in the given order; returns them in that order."""
    folder.mkdir(parents=True, exist_ok=True)
    ended: dict[str, Ended] = {}
    waiting, taken = list(turns), set[str]()
    changed = threading.Condition()
    children: set[subprocess.Popen[bytes]] = set()

    def following() -> Turn | None:
        """The first turn whose need is free; waits for one to become free. None when all have started."""
        while waiting:
            for turn in waiting:
                if not turn.needs or turn.needs not in taken:
                    waiting.remove(turn)
                    taken.add(turn.needs)
                    print(f"=== {turn.name}: started", flush=True)
                    return turn
            changed.wait()
        return None

    def drive() -> None:
        while True:
            with changed:
                turn = following()
            if turn is None:
                return
            row = _tier(turn, folder, children)
            with changed:
                ended[turn.name] = row
                taken.discard(turn.needs)
                _show(row)
                changed.notify_all()

    threads = [threading.Thread(target=drive, daemon=True) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        for child in list(children):
            child.terminate()
        raise
    return [ended[turn.name] for turn in turns]


def report(rows: Sequence[Ended]) -> int:
    """Print the end of every failed tier, a line for each tier, and the totals; return the exit status."""
    for row in rows:
        if row.outcome.failed:
            print(f"\n=== {row.name} failed; the end of {row.log.name}:")
            print("\n".join(row.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]))
    print("\n=== tiers")
    for row in rows:
        outcome = row.outcome
        if outcome.not_run:
            print(f"  {row.name:<12} not run: {outcome.not_run}")
            continue
        skipped = f", {outcome.skipped} skipped" if outcome.skipped else ""
        times = f"({row.seconds:.0f} s, {row.processor:.0f} s of processor)"
        print(f"  {row.name:<12} {outcome.passed} passed, {outcome.failed} failed{skipped} {times}")
    totals = [row.outcome for row in rows]
    passed, failed = sum(each.passed for each in totals), sum(each.failed for each in totals)
    skipped = sum(each.skipped for each in totals) + sum(bool(each.not_run) for each in totals)
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed or not passed else 0


def _tier(turn: Turn, folder: Path, children: set[subprocess.Popen[bytes]]) -> Ended:
    log, result = folder / f"{turn.name}.log", folder / f"{turn.name}.json"
    result.unlink(missing_ok=True)
    began = time.monotonic()
    with log.open("wb") as output:
        command = [
            *(["nice", "-n", "19"] if turn.last else []),
            sys.executable,
            "-m",
            "tests.tiers",
            *turn.options,
            turn.name,
        ]
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=Path.cwd())
        children.add(child)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        children.discard(child)
    # A tier that ended without writing an outcome has failed, whatever its exit status.
    outcome = Outcome(**json.loads(result.read_text())) if result.exists() else Outcome(failed=1)
    return Ended(turn.name, outcome, time.monotonic() - began, used.ru_utime + used.ru_stime, log)


def _show(row: Ended) -> None:
    print(f"\n=== {row.name}: ended after {row.seconds:.0f} s")
    print(row.log.read_text(errors="replace"), flush=True)
