"""The model that finds passages of documents: a variable of the roles names it, the model set has it like any other."""

from __future__ import annotations

from collections.abc import Iterable

from ollama_gpu import role_variables
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.model_store import full_name
from ollama_gpu.paths import Paths

VARIABLE = "open_webui_embedding_model"


def of(paths: Paths, environment: Environment) -> str:
    """Its name; empty where documents are not searched. ENV=local names it by what the lab supplies."""
    from jinja2 import Template

    variables = role_variables.read(paths, environment)
    name: str = Template(str(variables.get(VARIABLE) or "")).render(variables)
    return name


def is_served(name: str, models: Iterable[str]) -> bool:
    """Whether a model set has it; a name without a tag is :latest. None wanted is none missing."""
    return not name or full_name(name) in map(full_name, models)


def require(name: str, models: Iterable[str], environment: Environment) -> None:
    """Raises UserError for a model set with which every uploaded document would fail."""
    names = list(models)
    if not is_served(name, names):
        raise UserError(
            f"{name}, which {VARIABLE} names for uploaded documents, is not in this set.",
            remedy(name, names, environment),
            status=2,
        )


def remedy(name: str, models: Iterable[str], environment: Environment) -> str:
    """How to get it into the set."""
    return (
        f'Publish it too: make models ENV={environment.name} PUBLISH="{" ".join([*models, name])}". '
        f'Or set {VARIABLE}: "" in inventories/{environment.name}/group_vars/all.yml.'
    )
