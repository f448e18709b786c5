"""Contexts and variables for tests that call functions without the command line."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from ollama_gpu.core import paths
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.contract import Contract
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.settings import Environment, Variables
from ollama_gpu.terraform import values


@cache
def _variables(tfvars: str) -> Variables:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "test.tfvars.json")
        file.write_text(tfvars)
        return Variables.model_validate(values.read(paths.locate().terraform / "variables.tf", file, rules=False))


def variables(**assignments: Any) -> Variables:
    """Variables with these values, and Terraform's defaults for the others."""
    return _variables(json.dumps(assignments, sort_keys=True))


def context_of(environment: Environment, contract: Contract, aws: Aws) -> Context:
    """The context of an environment with the given AWS clients and this checkout's paths."""
    return Context(paths.locate(), environment, contract, aws, exports={}, unset=())
