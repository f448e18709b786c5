"""Rolls the newest launch template version out to running instances, with one instance refresh per fleet.

Terraform creates the version. This package starts the refresh to that version by number and follows it until it ends
(docs/decisions/0005). AWS rolls back automatically if a watched alarm fires, or without progress for an hour. This
package also rolls back at once if several instances of the new version fail. Ctrl-C stops following, not the refresh.
"""

from __future__ import annotations

from .described import describe
from .pending import pending_rollouts
from .refresh import Refresh, newest, under_way
from .steps import follow, refusal, roll, roll_back, start

__all__ = [
    "Refresh",
    "describe",
    "follow",
    "newest",
    "pending_rollouts",
    "refusal",
    "roll",
    "roll_back",
    "start",
    "under_way",
]
