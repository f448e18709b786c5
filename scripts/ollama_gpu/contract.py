"""The contract between fabric, instance and driver, read from contract/instance.yaml."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ollama_gpu.errors import UserError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Section):
    """A CloudWatch metric: its unit as CloudWatch spells it, its dimension sets, and which part makes it."""

    unit: str | None
    dimensions: list[list[str]]
    made_by: str


class Metrics(_Section):
    namespace: str
    names: dict[str, Metric]


class Boot(_Section):
    """What user data writes, and the program that it hands over to."""

    description: str
    program: str


class LifecycleHooks(_Section):
    launch: str
    terminate: str


class Contract(_Section):
    """Names that more than one part of the product uses; placeholders such as {environment} stay in."""

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
        """The SSM parameter's path in one environment."""
        return self.parameters[key].format(environment=environment)

    def secret(self, key: str, environment: str) -> str:
        """The secret's name in one environment."""
        return self.secrets[key].format(environment=environment)

    def log_group(self, key: str, environment: str) -> str:
        """The log group's name in one environment."""
        return self.log_groups[key].format(environment=environment)

    def identifying_tags(self, environment: str) -> dict[str, str]:
        """The tags that everything of an environment carries, whoever made it."""
        return {self.tags["project"]: self.project, self.tags["environment"]: environment}

    def driver_tags(self, environment: str) -> dict[str, str]:
        """The tags of what the driver makes beside Terraform."""
        return {**self.identifying_tags(environment), self.tags["managed_by"]: self.project}

    def state_bucket(self, account: str, region: str) -> str:
        """The bucket of Terraform's states: one for an account and region."""
        return self.state["bucket"].format(account=account, region=region)

    def artifact_bucket(self, account: str, region: str) -> str:
        """The bucket of collections, records, archives and models: one for an account and region."""
        return self.artifacts["bucket"].format(account=account, region=region)


def load(path: Path) -> Contract:
    """Read and check the contract. Raises UserError naming the entry that is wrong."""
    try:
        return Contract.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"The contract {path} cannot be read: {error}", "Restore it with `git checkout`.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"The contract {path} is wrong at {where}: {first['msg']}.", "Compare it with `git diff`."
        ) from error
