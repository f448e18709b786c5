"""Open the context of a command: paths, environment, contract, AWS clients and variables for child processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ollama_gpu.core import contract, paths, shell
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.contract import Contract
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment import instance_settings
from ollama_gpu.environment import settings as environments
from ollama_gpu.environment.embedded_aws import EmbeddedAws, environment_variables
from ollama_gpu.environment.settings import Environment


@dataclass(frozen=True)
class Context:
    """What every command works with.

    ``exports`` are the shell variables that `ollama-gpu env` prints, and ``unset`` those that it removes.
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
        """The account's bucket for collections, records, archives and models in the environment's region."""
        return self.contract.artifact_bucket(self.aws.identity.account, self.environment.region)

    @property
    def state_bucket(self) -> str:
        """The account's bucket for states. An environment can use another bucket: see remote_state.location."""
        return self.contract.state_bucket(self.aws.identity.account, self.environment.region)

    @property
    def process_environment(self) -> dict[str, str]:
        """The environment variables of Terraform and other child processes."""
        inherited = {key: value for key, value in os.environ.items() if key not in self.unset}
        return {**inherited, **self.exports}


def embedded_aws(where: Paths, region: str) -> EmbeddedAws:
    """The embedded AWS of this working folder."""
    return EmbeddedAws(where.embedded_aws, region)


def open_context(name: str, *, start_embedded: bool = False) -> Context:
    """Open the context of an environment. For ENV=local, ``start_embedded`` starts the embedded AWS if needed.

    Raises UserError when ENV=local is not running and ``start_embedded`` is false.
    """
    where = paths.locate()
    environment = environments.load(where, name)
    loaded_contract = contract.load(where.contract)
    if not environment.embedded:
        _refuse_embedded_shell(name)
        exports = {"AWS_REGION": environment.region, "AWS_DEFAULT_REGION": environment.region}
        settings = instance_settings.of(where, environment)
        return Context(where, environment, loaded_contract, Aws(environment.region), exports, (), settings)
    server = embedded_aws(where, environment.region)
    endpoint = server.start() if start_embedded else server.running()
    if endpoint is None:
        raise UserError(f"ENV={name} is not running.", f"Start it with: make deploy ENV={name}")
    variables = environment_variables(endpoint, environment.region)
    exports = {key: value for key, value in variables.items() if value is not None}
    unset = tuple(key for key, value in variables.items() if value is None)
    settings = instance_settings.of(where, environment)
    return Context(where, environment, loaded_contract, Aws(environment.region, endpoint.url), exports, unset, settings)


def _refuse_embedded_shell(name: str) -> None:
    if address := shell.local_endpoint(os.environ):
        raise UserError(
            f"AWS_ENDPOINT_URL={address} points this shell at a local AWS, but ENV={name} is in a real account.",
            shell.REMEDY,
            status=2,
        )
