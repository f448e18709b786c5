"""A check: what was looked at, what was seen, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from ollama_gpu.errors import UserError

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One row. ``remedy`` is empty when there is nothing to do."""

    what: str
    state: State
    seen: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        return {key: str(value) for key, value in asdict(self).items()}


COLUMNS = ("check", "state", "seen", "remedy")


def rows(checks: Sequence[Check]) -> list[tuple[str, str, str, str]]:
    """Table rows for ``COLUMNS``."""
    return [(check.what, check.state, check.seen, check.remedy) for check in checks]


def require(checks: Sequence[Check], subject: str) -> None:
    """Raise UserError with every failed row, in order, when there is one."""
    failed = [check for check in checks if check.state == "failed"]
    if not failed:
        return
    lines = [f"  {check.what}: {check.seen}" + (f"\n    {check.remedy}" if check.remedy else "") for check in failed]
    raise UserError(
        f"{subject} found {len(failed)} thing{'s' if len(failed) > 1 else ''} to put right:\n" + "\n".join(lines)
    )
