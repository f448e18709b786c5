"""An environment: its name, region, variables and state, loaded from terraform/environments/ and checked.

Types, defaults and rules are Terraform's (terraform/variables.tf). This module checks only what the driver needs before
Terraform can run: that files exist, parse, and name declared variables, and that no two environments share a state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.terraform import values

REQUIRED = ("environment", "region", "fleets")
"""Terraform variables that have no default."""

EMBEDDED = "local"
"""The environment that uses the embedded AWS. It differs in endpoint and size, not in code."""


class _DriverVariables(BaseModel):
    """Terraform variables that the driver reads. Others are ignored. Defaults are in Terraform only."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Domain(_DriverVariables):
    name: str
    zone: str


class Edge(_DriverVariables):
    certificate_arn: str | None
    domain: Domain | None


class Network(_DriverVariables):
    nat_per_zone: bool
    zone_count: int
    zones: list[str]
    existing: dict[str, Any] | None


class Fleet(_DriverVariables):
    """A group of instances. Sizes count instances; ``spot_percentage`` is the spot share above ``on_demand_base``."""

    instance_types: list[str]
    min_size: int
    max_size: int
    on_demand_base: int
    spot_percentage: int


class Data(_DriverVariables):
    backup_retention_days: int
    database_instance_class: str
    deletion_protection: bool


class SignOn(_DriverVariables):
    """Single sign-on. ``password_sign_in`` also accepts the first administrator's password."""

    client_id: str
    discovery_url: str
    password_sign_in: bool


class Variables(_DriverVariables):
    environment: str
    region: str
    edge: Edge
    network: Network
    fleets: dict[str, Fleet]
    data: Data
    image_id: str | None
    models: list[str]
    sign_on: SignOn | None
    spot_enabled: bool


@dataclass(frozen=True)
class Environment:
    """A deployable environment. ``backend`` has the settings of the S3 backend as written in the file."""

    name: str
    variables: Variables
    variables_file: Path
    backend: dict[str, str]

    @property
    def region(self) -> str:
        return self.variables.region

    @property
    def embedded(self) -> bool:
        return self.name == EMBEDDED

    @property
    def state_key(self) -> str:
        return self.backend["key"]

    @property
    def fleets(self) -> dict[str, Fleet]:
        """The fleets that will exist: those other than the interactive one use only Spot and need spot_enabled."""
        enabled = self.variables.spot_enabled
        return {name: fleet for name, fleet in self.variables.fleets.items() if name == "interactive" or enabled}


def names(paths: Paths) -> list[str]:
    """The names of the environments that have a variables file, in alphabetical order."""
    return sorted(path.name.removesuffix(".tfvars") for path in paths.environments.glob("*.tfvars"))


def load(paths: Paths, name: str) -> Environment:
    """Load an environment. Raises UserError (status 2) with the file and the position of the mistake."""
    variables_file = paths.environments / f"{name}.tfvars"
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or not variables_file.is_file():
        known = ", ".join(names(paths)) or "none"
        raise UserError(
            f"There is no environment `{name}`.",
            f"Use one of: {known}. To add one, create <name>.tfvars and <name>.backend.hcl in terraform/environments/.",
            status=2,
        )
    raw = _read_hcl(variables_file)
    declarations = paths.terraform / "variables.tf"
    _refuse_undeclared(raw, variables_file, declarations)
    _refuse_wrong_types(raw, variables_file)
    cache = paths.environment(name) / "variables.json"
    variables = Variables.model_validate(values.cached(declarations, variables_file, cache))
    if variables.environment != name:
        raise UserError(
            f'{variables_file.name} sets environment = "{variables.environment}", which differs from its file name.',
            f'Set environment = "{name}" in {variables_file}: the names of the AWS resources contain it.',
            status=2,
        )
    return Environment(name, variables, variables_file, _load_backend(paths, name, variables.region))


def _load_backend(paths: Paths, name: str, region: str) -> dict[str, str]:
    path = paths.environments / f"{name}.backend.hcl"
    if not path.is_file():
        raise UserError(
            f"{path.name} is missing. It configures where the environment's state is stored.",
            f'Create {path} with key = "{name}/terraform.tfstate" and region = "{region}".',
            status=2,
        )
    backend = {key: str(value) for key, value in _read_hcl(path).items()}
    missing = [key for key in ("key", "region") if key not in backend]
    if missing:
        raise UserError(f"{path.name} does not set {' and '.join(missing)}.", f"Add the setting to {path}.", status=2)
    for other in names(paths):
        other_path = paths.environments / f"{other}.backend.hcl"
        if other == name or not other_path.is_file():
            continue
        other_backend = _read_hcl(other_path)
        if (other_backend.get("key"), other_backend.get("bucket")) == (backend["key"], backend.get("bucket")):
            raise UserError(
                f"{path.name} and {other_path.name} use the same state, {backend['key']}.",
                "Set a different key for each environment.",
                status=2,
            )
    return backend


def _refuse_undeclared(raw: dict[str, Any], file: Path, declarations: Path) -> None:
    # Terraform only warns about an undeclared variable: a misspelt one would silently keep its default.
    declared = values.declared(declarations)
    for key in raw:
        if key not in declared:
            raise UserError(
                f"{file.name}: the variable `{key}` is not declared.",
                f"Remove it or correct the spelling. Declared variables: {', '.join(sorted(declared))}.",
                status=2,
            )


def _refuse_wrong_types(raw: dict[str, Any], file: Path) -> None:
    # Terraform reports the variable that has a wrong type, but not the attribute in it. A missing value is an error
    # only for the variables without a default.
    missing = [name for name in REQUIRED if name not in raw]
    try:
        Variables.model_validate(raw)
        found = []
    except ValidationError as error:
        found = [each for each in error.errors() if each["type"] != "missing"]
    if missing:
        message = f"{file.name}: the variable `{missing[0]}` is missing."
    elif found:
        place = ".".join(str(part) for part in found[0]["loc"])
        message = f"{file.name}: {place}: {found[0]['msg']}."
    else:
        return
    raise UserError(message, f"Correct it in {file}. terraform/variables.tf describes each variable.", status=2)


def _read_hcl(path: Path) -> dict[str, Any]:
    import hcl2
    from lark.exceptions import UnexpectedInput

    try:
        options = hcl2.SerializationOptions(strip_string_quotes=True, with_comments=False)
        content: dict[str, Any] = hcl2.loads(path.read_text(), serialization_options=options)
    except UnexpectedInput as error:
        raise UserError(
            f"{path.name} is not valid HCL at line {error.line}, column {error.column}.",
            f"Correct it in {path}. `terraform fmt {path}` also shows the position.",
            status=2,
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.", "Check the file and its permissions.", status=2) from error
    return content
