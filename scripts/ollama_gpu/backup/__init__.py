"""Backup and restore of an environment: AWS Backup for its data stores, a record in S3 for its configuration."""

from __future__ import annotations

from .take import take
from .upgrade import before_upgrade

__all__ = ["before_upgrade", "take"]
