"""Follows jobs of AWS Backup to their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView, duration

EVERY_SECONDS = 2.0
COMPLETED = "COMPLETED"
_FAILED = ("ABORTED", "EXPIRED", "FAILED", "PARTIAL")


@dataclass(frozen=True)
class State:
    """``state`` in AWS's words; ``percent`` as AWS gives it, empty at first; ``message`` why it failed."""

    state: str
    percent: str = ""
    message: str = ""

    def __str__(self) -> str:
        done = self.percent.rstrip("%").partition(".")[0]
        return f"{self.state.lower()} {done} %" if self.state == "RUNNING" and done else self.state.lower()


def backup_state(backup: Any, job: str) -> State:
    found = backup.describe_backup_job(BackupJobId=job)
    return State(found["State"], found.get("PercentDone", ""), found.get("StatusMessage", ""))


def restore_state(backup: Any, job: str) -> State:
    found = backup.describe_restore_job(RestoreJobId=job)
    return State(found["Status"], found.get("PercentDone", ""), found.get("StatusMessage", ""))


def follow(stage: str, running: Mapping[str, Callable[[], State]], view: ProgressView, seconds: float) -> None:
    """Return when every job, by what it is of, has completed.

    Raises UserError naming those that failed, with AWS's reasons, when all have ended; or after ``seconds``. The jobs
    go on whatever happens to this command.
    """
    deadline, said, outcome = time.monotonic() + seconds, "", "failed"
    view.started(stage)
    try:
        while True:
            states = {part: look() for part, look in running.items()}
            now = ", ".join(f"{part} {state}" for part, state in states.items())
            if now != said:
                view.notice(f"{stage}: {now}")
                said = now
            if all(state.state in (COMPLETED, *_FAILED) for state in states.values()):
                break
            if time.monotonic() > deadline:
                raise UserError(
                    f"The {stage} has not ended after {duration(seconds)}: {now}. It goes on in AWS.",
                    "Look at AWS Backup's jobs in the console.",
                )
            view.tick()
            time.sleep(EVERY_SECONDS)
        failed = [f"{part}: {state.message or state}" for part, state in states.items() if state.state != COMPLETED]
        if failed:
            raise UserError(
                f"The {stage} failed: {'; '.join(failed)}.", "Put that right; what has completed stays. Then try again."
            )
        outcome = "done"
    finally:
        view.finished(outcome)
