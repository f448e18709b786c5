"""The contract between Terraform, the instances and the driver, read from contract/instance.yaml."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ollama_gpu.core.errors import UserError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Section):
    """A CloudWatch metric: its unit in CloudWatch's spelling, its dimension sets, and the part that publishes it."""

    unit: str | None
    dimensions: list[list[str]]
    made_by: str


class Metrics(_Section):
    namespace: str
    names: dict[str, Metric]


class Boot(_Section):
    """The file that user data writes, and the program that it then starts."""

    description: str
    program: str


class LifecycleHooks(_Section):
    launch: str
    terminate: str


class Contract(_Section):
    """Names that several parts of the product use; they contain placeholders such as {environment}."""

    version: int
    project: str
    ports: dict[str, int]
    health: dict[str, str]
    parameters: dict[str, str]
    secrets: dict[str, str]
    tags: dict[str, str]
    log_groups: dict[str, str]
    artifacts: dict[str, str]
    state: dict[str, str]
    boot: Boot
    lifecycle_hooks: LifecycleHooks
    metrics: Metrics

    def parameter(self, key: str, environment: str) -> str:
        """The path of an SSM parameter in an environment."""
        return self.parameters[key].format(environment=environment)

    def secret(self, key: str, environment: str) -> str:
        """The name of a secret in an environment."""
        return self.secrets[key].format(environment=environment)

    def log_group(self, key: str, environment: str) -> str:
        """The name of a log group in an environment."""
        return self.log_groups[key].format(environment=environment)

    def identifying_tags(self, environment: str) -> dict[str, str]:
        """The tags of all resources of an environment, created by Terraform or by the driver."""
        return {self.tags["project"]: self.project, self.tags["environment"]: environment}

    def driver_tags(self, environment: str) -> dict[str, str]:
        """The tags of resources that the driver creates outside Terraform."""
        return {**self.identifying_tags(environment), self.tags["managed_by"]: self.project}

    def state_bucket(self, account: str, region: str) -> str:
        """The bucket for Terraform's states, one per account and region."""
        return self.state["bucket"].format(account=account, region=region)

    def artifact_bucket(self, account: str, region: str) -> str:
        """The bucket for collections, records, archives and models, one per account and region."""
        return self.artifacts["bucket"].format(account=account, region=region)


def load(path: Path) -> Contract:
    """Read and validate the contract. Raises UserError that names the invalid entry."""
    try:
        return Contract.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"Cannot read the contract {path}: {error}", "Restore it with `git checkout`.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"The contract {path} is invalid at {where}: {first['msg']}.", "Compare it with `git diff`."
        ) from error
