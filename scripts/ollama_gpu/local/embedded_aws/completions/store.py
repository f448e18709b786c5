"""Storage per account and region for data that moto's backends do not have."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, TypeVar

Value = TypeVar("Value")


class Regional(defaultdict[tuple[str, str], dict[str, Value]]):
    """A dictionary for each account and region, created at its first use."""

    def __init__(self) -> None:
        super().__init__(dict)

    def of(self, owner: Any) -> dict[str, Value]:
        """Return the dictionary of a moto backend or of a response object's request."""
        if hasattr(owner, "account_id"):
            return self[owner.account_id, owner.region_name]
        return self[owner.current_account, owner.region]
