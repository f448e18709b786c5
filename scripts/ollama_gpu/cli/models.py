"""The verb `models`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ollama_gpu.cli.options import Env, Json

if TYPE_CHECKING:
    from ollama_gpu.models.model_set import ModelSet

models = typer.Typer(
    help="Manage the models that an environment serves. Running instances follow within a minute or two.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Folder = Annotated[
    Path | None,
    typer.Option("--store", help="Ollama's model folder. Default: OLLAMA_MODELS, or ~/.ollama/models."),
]
Named = Annotated[str, typer.Argument(metavar="NAME[@DIGEST]", help="The model's name in Ollama, such as gemma3:4b.")]


@models.command()
def publish(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME[@DIGEST]...", help="The complete model set. Default: Terraform's variable `models`."
        ),
    ] = None,
    env: Env = "local",
    store: Folder = None,
) -> None:
    """Replace the model set. Copies models that the artifact bucket lacks, by digest."""
    from ollama_gpu.models.model_set import parse

    model_set = _open(env, store)
    chosen = [parse(name) for name in names or model_set.default]
    _report(env, model_set.publish(chosen), f"published {len(chosen)} models", "these models are already published")


@models.command()
def add(name: Named, env: Env = "local", store: Folder = None) -> None:
    """Add a model. Fails if the fleet's GPUs cannot hold it together with the others."""
    from ollama_gpu.models.model_set import parse

    _report(env, _open(env, store).add(parse(name)), f"added {name}", f"{name} is already in the model set")


@models.command()
def remove(name: Annotated[str, typer.Argument(metavar="NAME")], env: Env = "local") -> None:
    """Remove a model. Instances stop offering it, finish running answers, then free its memory."""
    removed = _open(env, None).remove(name)
    undo = f"ollama-gpu models add {removed.name}@{removed.digest} --env {env}"
    _report(env, True, f"removed {removed.name}. To add it again: {undo}", "")


@models.command()
def pin(name: Named, env: Env = "local", store: Folder = None) -> None:
    """Serve another digest of a model: one that was published before, or the one in this machine's store."""
    from ollama_gpu.models.model_set import parse

    _report(env, _open(env, store).pin(parse(name)), f"pinned {name}", f"{name} is already pinned")


@models.command(name="list")
def show(env: Env = "local", json: Json = False) -> None:
    """List the published models: name, digest, and memory on each GPU."""
    from ollama_gpu.core.console import print_json, print_table
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.models import model_set as steps
    from ollama_gpu.models.memory import GIB

    context = open_context(env)
    found = steps.published(context) or []
    if json:
        print_json([model.as_dict() for model in found])
        return
    rows = [(model.name, model.digest, f"{model.memory_bytes / GIB:.2f} GiB") for model in found]
    print_table(f"ENV={env}: models", ("name", "digest", "memory per GPU"), rows)


def _open(env: str, folder: Path | None) -> ModelSet:
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.models import embedding
    from ollama_gpu.models import model_set as steps
    from ollama_gpu.models import serving as serving_settings

    context = open_context(env)
    serving = serving_settings.read(context.paths, context.environment)
    embedder = embedding.of(context.paths, context.environment)
    store = steps.store(folder)
    return steps.ModelSet(context, serving, store, embedder=embedder)


def _report(env: str, changed: bool, done: str, unchanged: str) -> None:
    from ollama_gpu.core.console import note

    note(f"ENV={env}: {done}" if changed else f"ENV={env}: {unchanged}")
