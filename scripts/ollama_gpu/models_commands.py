"""The command `ollama-gpu models`: parse, call, print. No logic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ollama_gpu.options import Env, Json

if TYPE_CHECKING:
    from ollama_gpu.models import ModelSet

models = typer.Typer(
    help="The models that an environment's instances serve. Running instances follow within a minute or two.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Folder = Annotated[
    Path | None,
    typer.Option("--store", help="Ollama's folder of models. Default: OLLAMA_MODELS, or ~/.ollama/models."),
]
Named = Annotated[str, typer.Argument(metavar="NAME[@DIGEST]", help="As Ollama names it, such as gemma3:4b.")]


@models.command()
def publish(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME[@DIGEST]...", help="All models. None: those of the variable `models`."),
    ] = None,
    env: Env = "local",
    store: Folder = None,
) -> None:
    """Make these the environment's whole model set: copied to the artifact bucket by digest, once."""
    from ollama_gpu.models import parse

    model_set = _open(env, store)
    wanted = [parse(name) for name in names or model_set.default]
    _say(env, model_set.publish(wanted), f"{len(wanted)} models are published", "the models were these already")


@models.command()
def add(name: Named, env: Env = "local", store: Folder = None) -> None:
    """Serve a further model; refused when the fleet's GPUs cannot hold it beside the others."""
    from ollama_gpu.models import parse

    _say(env, _open(env, store).add(parse(name)), f"{name} is added", f"{name} was there already")


@models.command()
def remove(name: Annotated[str, typer.Argument(metavar="NAME")], env: Env = "local") -> None:
    """Serve a model no longer: it is not offered any more, running answers end, then its memory comes free."""
    gone = _open(env, None).remove(name)
    _say(env, True, f"{gone.name} is removed; it comes back with: ollama-gpu models add {gone.name}@{gone.digest}", "")


@models.command()
def pin(name: Named, env: Env = "local", store: Folder = None) -> None:
    """Serve another digest of a model: one that was published before, or what this machine has of it now."""
    from ollama_gpu.models import parse

    _say(env, _open(env, store).pin(parse(name)), f"{name} is pinned", f"{name} was that already")


@models.command(name="list")
def show(env: Env = "local", json: Json = False) -> None:
    """The models that the environment's instances serve: name, digest, and memory on each GPU."""
    from ollama_gpu import models as steps
    from ollama_gpu.console import print_json, print_table
    from ollama_gpu.context import open_context
    from ollama_gpu.model_memory import GIB

    context = open_context(env)
    found = steps.published(context.environment, context.contract, context.aws) or []
    if json:
        print_json([model.as_dict() for model in found])
        return
    rows = [(model.name, model.digest, f"{model.memory_bytes / GIB:.2f} GiB") for model in found]
    print_table(f"ENV={env}: models", ("name", "digest", "of each GPU"), rows)


def _open(env: str, folder: Path | None) -> ModelSet:
    from ollama_gpu import embedding_model, role_variables
    from ollama_gpu import models as steps
    from ollama_gpu.context import open_context

    context = open_context(env)
    serving = role_variables.serving(context.paths, context.environment)
    embedder = embedding_model.of(context.paths, context.environment)
    store = steps.store(folder)
    return steps.ModelSet(context.environment, context.contract, context.aws, serving, store, embedder=embedder)


def _say(env: str, changed: bool, done: str, unchanged: str) -> None:
    from ollama_gpu.console import note

    note(f"ENV={env}: {done}" if changed else f"ENV={env}: {unchanged}")
