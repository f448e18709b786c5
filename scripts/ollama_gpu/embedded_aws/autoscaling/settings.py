"""How the emulation behaves where AWS has a world behind it that may be absent here; changed at run time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass
class Settings:
    """Switches of the Auto Scaling emulation."""

    # With the fabric alone no instance exists that could answer its lifecycle hook.
    answer_lifecycle_actions: bool = True
    # Without a data plane nobody probes a target; with one a new target is `initial` until it is probed.
    targets_start_healthy: bool = True
    # AWS gives a refresh that makes no progress one hour.
    refresh_patience: timedelta = timedelta(hours=1)
    # Launches in a row that may fail before a refresh does.
    refresh_failed_launches: int = 3


settings = Settings()


def answer_lifecycle_actions(answer: bool) -> None:
    """Complete lifecycle actions with CONTINUE on the next tick (True), or leave them to the instances."""
    settings.answer_lifecycle_actions = answer


def start_targets_healthy(healthy: bool) -> None:
    """Let a newly registered target be `healthy` at once (True), or `initial` until its health is set."""
    settings.targets_start_healthy = healthy
