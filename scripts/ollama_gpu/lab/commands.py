"""The command `ollama-gpu lab`: parse, call, print. No logic."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.options import Json

lab = typer.Typer(
    help="What stands in for the outside world on one machine: real packages, models and images, served locally.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@lab.command()
def supply(
    anew: Annotated[
        list[str] | None,
        typer.Option("--anew", metavar="PART", help="Make this part again though it is there; `all` for every one."),
    ] = None,
    json: Json = False,
) -> None:
    """Make what is missing and serve it: engine, images, Ollama, a model, NVIDIA's toolkit, Open WebUI."""
    from ollama_gpu import paths
    from ollama_gpu.console import print_values
    from ollama_gpu.lab.docker import Docker
    from ollama_gpu.lab.places import locate
    from ollama_gpu.lab.supply import supply as make
    from ollama_gpu.progress import view_of_this_run

    supplies = make(locate(paths.locate()), Docker(), view_of_this_run(), anew or ())
    print_values("lab", ("variable", "value"), supplies.variables(), json)


@lab.command()
def status(json: Json = False) -> None:
    """What is built, its versions, digests, sizes and addresses. Looks only."""
    from ollama_gpu import paths
    from ollama_gpu.console import print_values
    from ollama_gpu.lab import status as look
    from ollama_gpu.lab.docker import Docker
    from ollama_gpu.lab.places import locate

    print_values("lab", ("what", "seen"), look.read(locate(paths.locate()), Docker()), json)


@lab.command()
def down(
    cache: Annotated[
        bool, typer.Option("--cache", help="Also remove the images and everything that was built.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove the lab's containers, network and volumes."""
    from dataclasses import asdict

    from ollama_gpu import paths
    from ollama_gpu.console import print_values
    from ollama_gpu.lab.docker import Docker
    from ollama_gpu.lab.places import locate
    from ollama_gpu.lab.removal import remove

    removed = asdict(remove(locate(paths.locate()), Docker(), cache))
    print_values("lab: removed", ("what", "names"), removed, json)


data = typer.Typer(
    help="Stand-ins for the managed stores: PostgreSQL with pgvector, and Redis.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
lab.add_typer(data, name="data")


@data.command()
def start(
    name: Annotated[str, typer.Argument(help="The container's name, and the name that it answers to in the lab.")],
    throw_away: Annotated[
        bool, typer.Option("--throw-away", help="Begin with empty stores when those there are another checkout's.")
    ] = False,
    json: Json = False,
) -> None:
    """Start the stores with passwords and an authority of their own, or find them running."""
    from ollama_gpu import paths
    from ollama_gpu.console import print_values
    from ollama_gpu.lab import data as tier
    from ollama_gpu.lab import host_settings, images
    from ollama_gpu.lab.docker import Docker
    from ollama_gpu.lab.places import locate
    from ollama_gpu.progress import progress_view

    where = locate(paths.locate())
    view = progress_view(console_is_terminal=False, quiet=True)
    docker, folder = Docker(), tier.folder(where, name)
    image = images.ensure(tier.IMAGE, host_settings.read(), docker, where.logs, view, force=False)
    secrets = tier.keep_secrets(folder)
    started = tier.start(name, (name,), secrets, folder, image, docker, view, throw_away=throw_away)
    described = {
        "database": started.database,
        "cache": started.cache,
        "authority": str(started.authority),
        "secrets": str(folder / "secrets"),
    }
    print_values(name, ("what", "where"), described, json)


@data.command()
def stop(name: Annotated[str, typer.Argument(help="The container's name.")]) -> None:
    """Remove the stores, all that is in them, and their passwords."""
    from ollama_gpu import paths
    from ollama_gpu.lab import data as tier
    from ollama_gpu.lab.docker import Docker
    from ollama_gpu.lab.places import locate

    tier.stop(name, Docker(), folder=tier.folder(locate(paths.locate()), name))
