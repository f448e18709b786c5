"""Bring a fleet's running instances to the newest launch template version: one instance refresh a fleet.

Terraform makes the version, this starts the refresh to it by number and follows it to its end (docs/decisions/0005).
AWS rolls back by itself when a watched alarm rings or nothing has moved for an hour; that instances of the new version
die one after another is seen here, and turned round at once. Who stops following stops nothing.
"""

from __future__ import annotations

from .described import describe
from .due import due
from .refresh import Refresh, newest, under_way
from .steps import follow, refusal, roll, start, take_back

__all__ = ["Refresh", "describe", "due", "follow", "newest", "refusal", "roll", "start", "take_back", "under_way"]
