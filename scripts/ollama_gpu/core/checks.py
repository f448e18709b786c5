"""The results of checks: what was checked, the result, and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from ollama_gpu.core.errors import UserError

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One result. ``remedy`` is empty if no action is needed."""

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
    """Raise UserError with all failed checks, in order, if any failed."""
    failed = [check for check in checks if check.state == "failed"]
    if not failed:
        return
    lines = [f"  {check.what}: {check.seen}" + (f"\n    {check.remedy}" if check.remedy else "") for check in failed]
    raise UserError(f"{subject} found {len(failed)} problem{'s' if len(failed) > 1 else ''}:\n" + "\n".join(lines))
