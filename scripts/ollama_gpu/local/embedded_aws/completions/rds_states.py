"""RDS: a modification of an instance takes time, and a rename takes effect at its end.

Sources: RDS User Guide, "Viewing Amazon RDS DB instance status" (`modifying`, `renaming`) and "Renaming a DB instance";
API reference, ModifyDBInstance, error InvalidDBInstanceState. On AWS both take minutes, here `SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from moto.rds.exceptions import DBInstanceAlreadyExists, RDSClientError
from moto.rds.models import RDSBackend

from .patching import around

SECONDS = 1.0

_READ_INSTANCES = (
    "create_db_instance",
    "create_db_snapshot",
    "delete_db_instance",
    "describe_db_instances",
    "restore_db_instance_from_db_snapshot",
    "restore_db_instance_to_point_in_time",
)
_modify_at_once = RDSBackend.modify_db_instance


def apply() -> None:
    """Patch moto's RDS."""

    @around(RDSBackend, "modify_db_instance")
    def modify(original: Callable[..., Any], self: Any, identifier: str, settings: dict[str, Any]) -> Any:
        settle(self)
        database = self.databases.get(identifier)
        if database is not None and database.status != "available":
            message = f"Database instance {identifier} is not in available state."
            raise RDSClientError("InvalidDBInstanceState", message)
        settings = dict(settings)
        name = settings.pop("new_db_instance_identifier", None)
        if name and name in self.databases:
            raise DBInstanceAlreadyExists
        database = original(self, identifier, settings)
        database.status = "renaming" if name else "modifying"
        database.change_ends, database.next_name = time.monotonic() + SECONDS, name
        return database

    for name in _READ_INSTANCES:

        @around(RDSBackend, name)
        def settled(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
            settle(self)
            return original(self, *args, **kwargs)


def settle(backend: Any) -> None:
    """Complete the modifications of instances whose time has passed."""
    for database in list(backend.databases.values()):
        if database.status in ("modifying", "renaming") and time.monotonic() >= database.change_ends:
            database.status = "available"
            if database.next_name:
                renamed = {"new_db_instance_identifier": database.next_name}
                _modify_at_once(backend, database.db_instance_identifier, renamed)
