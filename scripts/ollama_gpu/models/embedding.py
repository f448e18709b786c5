"""The embedding model for uploaded documents: a role variable names it, and the model set contains it."""

from __future__ import annotations

from collections.abc import Iterable

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment import role_variables
from ollama_gpu.environment.settings import Environment
from ollama_gpu.models.store import full_name

VARIABLE = "open_webui_embedding_model"


def of(paths: Paths, environment: Environment) -> str:
    """Return its name; empty if documents are not searched. For ENV=local, the lab supplies the name."""
    from jinja2 import Template

    variables = role_variables.read(paths, environment)
    name: str = Template(str(variables.get(VARIABLE) or "")).render(variables)
    return name


def is_served(name: str, models: Iterable[str]) -> bool:
    """Whether a model set contains it; a name without a tag means :latest. An empty name is always served."""
    return not name or full_name(name) in map(full_name, models)


def require(name: str, models: Iterable[str], environment: Environment) -> None:
    """Raises UserError if the model set lacks it: every uploaded document would fail."""
    names = list(models)
    if not is_served(name, names):
        raise UserError(
            f"{name}, which {VARIABLE} names for uploaded documents, is not in this set.",
            remedy(name, names, environment),
            status=2,
        )


def remedy(name: str, models: Iterable[str], environment: Environment) -> str:
    """Return how to add it to the set."""
    return (
        f'Publish it too: make models ENV={environment.name} PUBLISH="{" ".join([*models, name])}". '
        f'Or set {VARIABLE}: "" in inventories/{environment.name}/group_vars/all.yml.'
    )
