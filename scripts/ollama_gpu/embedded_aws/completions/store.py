"""Storage for what moto's backends have no place for, per account and region."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, TypeVar

Value = TypeVar("Value")


class Regional(defaultdict[tuple[str, str], dict[str, Value]]):
    """A kind of thing: a dictionary for each account and region, made when first asked for."""

    def __init__(self) -> None:
        super().__init__(dict)

    def of(self, owner: Any) -> dict[str, Value]:
        """The dictionary of a moto backend or of the request that a response object answers."""
        if hasattr(owner, "account_id"):
            return self[owner.account_id, owner.region_name]
        return self[owner.current_account, owner.region]
