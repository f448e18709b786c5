"""Settings for what depends on whether the lab runs behind the records. They change at run time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass
class Settings:
    """Settings of the Auto Scaling emulation."""

    # Without the lab, no instance exists that could complete its lifecycle action.
    answer_lifecycle_actions: bool = True
    # Without the lab, no health check of targets runs. With it, a new target is `initial` until its first check.
    targets_start_healthy: bool = True
    # AWS fails a refresh after one hour without progress.
    refresh_timeout: timedelta = timedelta(hours=1)
    # Number of failed launches in a row that fails a refresh.
    refresh_failed_launches: int = 3


settings = Settings()


def answer_lifecycle_actions(answer: bool) -> None:
    """Complete lifecycle actions with CONTINUE on the next tick (True), or leave them to the instances (False)."""
    settings.answer_lifecycle_actions = answer


def start_targets_healthy(healthy: bool) -> None:
    """Make a newly registered target `healthy` at once (True), or `initial` until its health is set (False)."""
    settings.targets_start_healthy = healthy
