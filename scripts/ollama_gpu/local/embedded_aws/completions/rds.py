"""RDS: instances that read back as requested, automated snapshots, and parameter groups with defaults.

moto 5.2.5 has these defects:

* Every instance has the same resource id, and Performance Insights is not stored.
* A managed master password is a constant for the user "admin", whatever the user's name, and a new secret is created
  with every request for it.
* Automated snapshots of a renamed instance are not deleted with it.
* Parameters lose their source, and the default parameter group of an engine exists only after an instance has used it.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.rds import models
from moto.rds.exceptions import DBParameterGroupNotFoundError, RDSClientError
from moto.rds.responses import RDSResponse

from . import rds_states
from .patching import add_operations, around

# Defaults of the PostgreSQL parameters that fabrics read. AWS has about 400.
POSTGRES_PARAMETERS = {
    "log_min_duration_statement": ("-1", "dynamic"),
    "max_connections": ("LEAST({DBInstanceClassMemory/9531392},5000)", "static"),
    "rds.force_ssl": ("1", "dynamic"),
    "rds.logical_replication": ("0", "static"),
    "shared_buffers": ("{DBInstanceClassMemory/32768}", "static"),
    "shared_preload_libraries": ("pg_stat_statements", "static"),
}


def apply() -> None:
    """Patch moto's RDS."""
    _complete_instances()
    _complete_deletion()
    _complete_parameter_groups()
    rds_states.apply()
    add_operations(RDSResponse, reset_db_parameter_group)

    def secret_string(self: Any) -> str:
        password = secrets.token_urlsafe(21)  # 28 characters, as in RDS
        return json.dumps({"username": self.resource.master_username, "password": password})

    models.MasterUserSecret._generate_secret_string = secret_string


def _complete_instances() -> None:
    @around(models.DBInstance, "__init__")
    def init(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.dbi_resource_id = "db-" + "".join(
            secrets.choice(string.ascii_uppercase + string.digits) for _ in range(26)
        )
        self.performance_insights_enabled = bool(kwargs.get("enable_performance_insights"))
        self.performance_insights_kms_key_id = kwargs.get("performance_insights_kms_key_id")
        self.performance_insights_retention_period = kwargs.get("performance_insights_retention_period") or (
            7 if self.performance_insights_enabled else None
        )
        if self.ca_certificate_identifier == "rds-ca-default":
            self.ca_certificate_identifier = "rds-ca-rsa2048-g1"  # the certificate that the default refers to

    @around(models.DBInstance, "update")
    def update(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("manage_master_user_password") and self.manage_master_user_password:
            del kwargs["manage_master_user_password"]  # moto would create another secret
        if kwargs.get("enable_performance_insights") is not None:
            self.performance_insights_enabled = kwargs["enable_performance_insights"]
        original(self, *args, **kwargs)

    def default_parameter_group(self: Any) -> tuple[str, str]:
        family = self.engine.lower() + _family_version(self.engine, self.engine_version)
        return family, f"default.{family}"

    models.DBInstance.default_db_parameter_group_details = default_parameter_group


def _complete_deletion() -> None:
    @around(models.RDSBackend, "delete_db_instance")
    def delete(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
        database = original(self, *args, **kwargs)
        if kwargs.get("delete_automated_backups") is False:
            return database
        # AWS deletes automated snapshots by the instance's resource id, moto only by its current name.
        for name, snapshot in list(self.database_snapshots.items()):
            automated = snapshot.snapshot_type == "automated"
            if automated and snapshot.database.dbi_resource_id == database.dbi_resource_id:
                self.delete_db_snapshot(name)
        return database


def _family_version(engine: str, version: str) -> str:
    # since PostgreSQL 10, a family has only the major version; "16" is also a valid version
    parts = str(version).split(".")
    return parts[0] if "postgres" in engine else ".".join(parts[:2])


def _complete_parameter_groups() -> None:
    @around(models.DBParameterGroup, "__init__")
    def init(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if (self.family or "").startswith("postgres"):
            for name, (value, kind) in POSTGRES_PARAMETERS.items():
                self.parameters[name] = _parameter(name, value, kind, "engine-default")

    @around(models.DBParameterGroup, "update_parameters")
    def update_parameters(original: Callable[..., Any], self: Any, new: Any) -> None:
        changed = []
        for parameter in new:
            kind = self.parameters.get(parameter["ParameterName"], {}).get("ApplyType", "dynamic")
            if kind == "static" and parameter.get("ApplyMethod") == "immediate":
                raise RDSClientError(
                    "InvalidParameterCombination",
                    "cannot use immediate apply method for static parameter",
                )
            changed.append({**parameter, "Source": "user", "ApplyType": kind, "IsModifiable": True})
        original(self, changed)

    @around(models.RDSBackend, "describe_db_parameter_groups")
    def describe(original: Callable[..., Any], self: Any, kwargs: dict[str, Any]) -> Any:
        name = kwargs.get("db_parameter_group_name") or ""
        found = re.fullmatch(r"default\.(postgres\d+)", name)
        if found and name not in self.db_parameter_groups:
            family = found[1]
            self.db_parameter_groups[name] = models.DBParameterGroup(
                self, name, f"Default parameter group for {family}", family
            )
        return original(self, kwargs)

    @around(models.RDSBackend, "delete_db_parameter_group")
    def delete(original: Callable[..., Any], self: Any, name: str) -> Any:
        users = [each for each in self.databases.values() if each.db_parameter_group_name == name]
        if users:
            raise RDSClientError(
                "InvalidDBParameterGroupState", f"{name} is in use by {users[0].db_instance_identifier}"
            )
        return original(self, name)


def _parameter(name: str, value: str, kind: str, source: str) -> dict[str, Any]:
    return {
        "ParameterName": name,
        "ParameterValue": value,
        "ApplyMethod": "pending-reboot" if kind == "static" else "immediate",
        "ApplyType": kind,
        "DataType": "string",
        "IsModifiable": True,
        "Source": source,
    }


def reset_db_parameter_group(self: Any) -> ActionResult:
    """ResetDBParameterGroup: reset the given parameters, or all of them, to their defaults."""
    name = self.params["DBParameterGroupName"]
    group = self.backend.db_parameter_groups.get(name)
    if group is None:
        raise DBParameterGroupNotFoundError(name)
    named = [each["ParameterName"] for each in self.params.get("Parameters") or []]
    for parameter in list(group.parameters) if self.params.get("ResetAllParameters") else named:
        group.parameters.pop(parameter, None)
        if parameter in POSTGRES_PARAMETERS and (group.family or "").startswith("postgres"):
            value, kind = POSTGRES_PARAMETERS[parameter]
            group.parameters[parameter] = _parameter(parameter, value, kind, "engine-default")
    return ActionResult({"DBParameterGroupName": name})
