"""An environment: its name, region, variables and state, loaded from terraform/environments/ and checked.

Terraform checks the values against the types and rules in terraform/variables.tf. Checked here is only what
the driver itself needs before Terraform can run, so that no rule stands in two places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ollama_gpu.errors import UserError
from ollama_gpu.paths import Paths

EMBEDDED = "local"
"""The environment whose AWS is the embedded one. It differs in endpoint and size, not in code."""


class _Read(BaseModel):
    """Variables that the driver reads; Terraform owns the rest, so unknown ones pass here."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Domain(_Read):
    name: str
    zone: str


class Edge(_Read):
    certificate_arn: str | None = None
    domain: Domain | None = None


class Network(_Read):
    zone_count: int = 3
    zones: list[str] = []
    existing: dict[str, Any] | None = None


class Fleet(_Read):
    """Sizes are instances; ``spot_percentage`` is the share of spot above ``on_demand_base``."""

    instance_types: list[str]
    min_size: int
    max_size: int
    on_demand_base: int = 2
    spot_percentage: int = 0


class Data(_Read):
    backup_retention_days: int = 35
    deletion_protection: bool = True


class SignOn(_Read):
    """Single sign-on; ``password_sign_in``: the first administrator's password is taken as well."""

    client_id: str
    discovery_url: str
    password_sign_in: bool = True


class Variables(_Read):
    environment: str
    region: str
    edge: Edge = Edge()
    network: Network = Network()
    fleets: dict[str, Fleet]
    data: Data = Data()
    image_id: str | None = None
    models: list[str] = []
    sign_on: SignOn | None = None
    spot_enabled: bool = False


@dataclass(frozen=True)
class Environment:
    """One deployable environment; ``backend`` holds the S3 backend's settings as the file has them."""

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


def names(paths: Paths) -> list[str]:
    """The environments that have a variables file, in alphabetical order."""
    return sorted(path.name.removesuffix(".tfvars") for path in paths.environments.glob("*.tfvars"))


def load(paths: Paths, name: str) -> Environment:
    """Load an environment. Raises UserError (status 2) with the file and the place of what is wrong."""
    variables_file = paths.environments / f"{name}.tfvars"
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or not variables_file.is_file():
        known = ", ".join(names(paths)) or "none"
        raise UserError(
            f"There is no environment `{name}`.",
            f"Use one of: {known}; or make {paths.environments.name}/<name>.tfvars and <name>.backend.hcl beside them.",
            status=2,
        )
    raw = _read_hcl(variables_file)
    _refuse_undeclared(raw, variables_file, paths.terraform / "variables.tf")
    try:
        variables = Variables.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"{variables_file.name}: {where}: {first['msg']}.",
            f"Correct it in {variables_file}; terraform/variables.tf describes each variable.",
            status=2,
        ) from error
    if variables.environment != name:
        raise UserError(
            f'{variables_file.name} says environment = "{variables.environment}", but its name says `{name}`.',
            "Make both the same, or two environments would write into one state.",
            status=2,
        )
    return Environment(name, variables, variables_file, _load_backend(paths, name, variables.region))


def _load_backend(paths: Paths, name: str, region: str) -> dict[str, str]:
    path = paths.environments / f"{name}.backend.hcl"
    if not path.is_file():
        raise UserError(
            f"{path.name} is missing: the environment has no place for its state.",
            f'Write into {path}: key = "{name}/terraform.tfstate" and region = "{region}".',
            status=2,
        )
    backend = {key: str(value) for key, value in _read_hcl(path).items()}
    missing = [key for key in ("key", "region") if key not in backend]
    if missing:
        raise UserError(f"{path.name} lacks {' and '.join(missing)}.", f"Add it to {path}.", status=2)
    for other in names(paths):
        other_path = paths.environments / f"{other}.backend.hcl"
        if other == name or not other_path.is_file():
            continue
        theirs = _read_hcl(other_path)
        if (theirs.get("key"), theirs.get("bucket")) == (backend["key"], backend.get("bucket")):
            raise UserError(
                f"{path.name} and {other_path.name} name the same state, {backend['key']}.",
                "Give each environment a key of its own.",
                status=2,
            )
    return backend


def _refuse_undeclared(raw: dict[str, Any], file: Path, declarations: Path) -> None:
    # Terraform only warns of a variable that nobody declares, and a misspelt one would be a silent default.
    declared = set(re.findall(r'^variable "(\w+)"', declarations.read_text(), flags=re.MULTILINE))
    for key in raw:
        if key not in declared:
            raise UserError(
                f"{file.name}: there is no variable `{key}`.",
                f"Remove it or correct the spelling; there are: {', '.join(sorted(declared))}.",
                status=2,
            )


def _read_hcl(path: Path) -> dict[str, Any]:
    import hcl2
    from lark.exceptions import UnexpectedInput

    try:
        options = hcl2.SerializationOptions(strip_string_quotes=True, with_comments=False)
        content: dict[str, Any] = hcl2.loads(path.read_text(), serialization_options=options)
    except UnexpectedInput as error:
        raise UserError(
            f"{path.name} is not valid HCL at line {error.line}, column {error.column}.",
            f"Correct it in {path}; `terraform fmt {path}` shows the place as well.",
            status=2,
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.", "Check the file and its permissions.", status=2) from error
    return content
