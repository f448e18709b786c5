"""Backups of an environment and the way back: AWS Backup for what has content, a record for its configuration."""

from __future__ import annotations

from .take import take
from .upgrade import before_upgrade

__all__ = ["before_upgrade", "take"]
