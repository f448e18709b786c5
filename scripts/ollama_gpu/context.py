"""What every verb works with, put together at the edge: paths, environment, contract, AWS, process environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ollama_gpu import contract, environments, instance_settings, paths, shell
from ollama_gpu.aws import Aws
from ollama_gpu.contract import Contract
from ollama_gpu.embedded_aws.process import EmbeddedAws, environment_variables
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.paths import Paths


@dataclass(frozen=True)
class Context:
    """``process_environment`` is what Terraform and other children get; ``exports`` what `env` prints.

    ``instance_settings`` is Terraform's variable `instance` (endpoint_url, variables); None leaves it out.
    """

    paths: Paths
    environment: Environment
    contract: Contract
    aws: Aws
    exports: dict[str, str]
    unset: tuple[str, ...]
    instance_settings: dict[str, Any] | None = None

    @property
    def artifact_bucket(self) -> str:
        """The account's bucket of collections, records, archives and models in the environment's region."""
        return self.contract.artifact_bucket(self.aws.identity.account, self.environment.region)

    @property
    def state_bucket(self) -> str:
        """The account's bucket of states; an environment's own may lie elsewhere, which remote_state.place knows."""
        return self.contract.state_bucket(self.aws.identity.account, self.environment.region)

    @property
    def process_environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in self.unset}
        return {**kept, **self.exports}


def embedded_aws(where: Paths, region: str) -> EmbeddedAws:
    """The embedded AWS of this checkout."""
    return EmbeddedAws(where.embedded_aws, region)


def open_context(name: str, *, start_embedded: bool = False) -> Context:
    """The context of an environment; starts the embedded AWS for ENV=local when asked to.

    Raises UserError when ENV=local is not running and is not to be started.
    """
    where = paths.locate()
    environment = environments.load(where, name)
    agreed = contract.load(where.contract)
    if not environment.embedded:
        _refuse_embedded_shell(name)
        exports = {"AWS_REGION": environment.region, "AWS_DEFAULT_REGION": environment.region}
        settings = instance_settings.of(where, environment)
        return Context(where, environment, agreed, Aws(environment.region), exports, (), settings)
    server = embedded_aws(where, environment.region)
    endpoint = server.start() if start_embedded else server.running()
    if endpoint is None:
        raise UserError(f"ENV={name} is not running.", f"Start it with: make deploy ENV={name}")
    variables = environment_variables(endpoint, environment.region)
    exports = {key: value for key, value in variables.items() if value is not None}
    unset = tuple(key for key, value in variables.items() if value is None)
    settings = instance_settings.of(where, environment)
    return Context(where, environment, agreed, Aws(environment.region, endpoint.url), exports, unset, settings)


def _refuse_embedded_shell(name: str) -> None:
    if address := shell.local_endpoint(os.environ):
        raise UserError(
            f"AWS_ENDPOINT_URL={address} points this shell at a local AWS, but ENV={name} lives on the real one.",
            shell.REMEDY,
            status=2,
        )
