"""Follows AWS Backup jobs until they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.progress import ProgressView, duration

EVERY_SECONDS = 2.0
COMPLETED = "COMPLETED"
_FAILED = ("ABORTED", "EXPIRED", "FAILED", "PARTIAL")


@dataclass(frozen=True)
class State:
    """The state of a job, as AWS reports it. ``percent`` is empty at first. ``message`` is the reason of a failure."""

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


def follow(
    stage: str, running: Mapping[str, Callable[[], State]], view: ProgressView, seconds: float
) -> dict[str, str]:
    """Return when every job has ended: AWS's reason for each part whose job failed.

    ``running`` maps the part of a job to a function that reads its state. Raises UserError after ``seconds``. The jobs
    continue in AWS if this command ends early.
    """
    deadline, reported, outcome = time.monotonic() + seconds, "", "failed"
    view.started(stage)
    try:
        while True:
            states = {part: read_state() for part, read_state in running.items()}
            now = ", ".join(f"{part} {state}" for part, state in states.items())
            if now != reported:
                view.notice(f"{stage}: {now}")
                reported = now
            if all(state.state in (COMPLETED, *_FAILED) for state in states.values()):
                break
            if time.monotonic() > deadline:
                raise UserError(
                    f"Timed out after {duration(seconds)} waiting for the {stage}: {now}. It continues in AWS.",
                    "See the AWS Backup jobs in the console.",
                )
            view.tick()
            time.sleep(EVERY_SECONDS)
        failed = {part: state.message or str(state) for part, state in states.items() if state.state != COMPLETED}
        outcome = "failed" if failed else "done"
        return failed
    finally:
        view.finished(outcome)


def require_completed(stage: str, failed: Mapping[str, str]) -> None:
    """Raise UserError if `follow` returned a failed job."""
    if failed:
        reasons = "; ".join(f"{part}: {reason.rstrip('.')}" for part, reason in failed.items())
        raise UserError(f"The {stage} failed: {reasons}.", "Fix the cause, then try again. Completed jobs are kept.")
