"""The command `ollama-gpu lab`: parses, calls and prints, without logic."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.cli.options import Json

lab = typer.Typer(
    help="The lab of ENV=local: real packages, models and images, served on this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@lab.command()
def supply(
    rebuild: Annotated[
        list[str] | None,
        typer.Option("--rebuild", metavar="PART", help="Build this part even if it exists; `all` for every part."),
    ] = None,
    json: Json = False,
) -> None:
    """Build and serve what is missing: engine, images, Ollama, a model, NVIDIA's toolkit, Open WebUI."""
    from ollama_gpu.core import paths
    from ollama_gpu.core.console import print_values
    from ollama_gpu.local.lab import supply as lab_supply
    from ollama_gpu.local.lab.docker import Docker
    from ollama_gpu.local.lab.locations import locate
    from ollama_gpu.terraform.progress import view_of_this_run

    supplies = lab_supply.supply(locate(paths.locate()), Docker(), view_of_this_run(), rebuild or ())
    print_values("lab", ("variable", "value"), supplies.variables(), json)


@lab.command()
def status(json: Json = False) -> None:
    """Show the lab's versions, digests, sizes and addresses. Read-only."""
    from ollama_gpu.core import paths
    from ollama_gpu.core.console import print_values
    from ollama_gpu.local.lab import status as lab_status
    from ollama_gpu.local.lab.docker import Docker
    from ollama_gpu.local.lab.locations import locate

    print_values("lab", ("what", "seen"), lab_status.read(locate(paths.locate()), Docker()), json)


@lab.command()
def down(
    cache: Annotated[bool, typer.Option("--cache", help="Also remove the images and all build results.")] = False,
    json: Json = False,
) -> None:
    """Remove the lab's containers, network and volumes."""
    from dataclasses import asdict

    from ollama_gpu.core import paths
    from ollama_gpu.core.console import print_values
    from ollama_gpu.local.lab.docker import Docker
    from ollama_gpu.local.lab.locations import locate
    from ollama_gpu.local.lab.removal import remove

    removed = asdict(remove(locate(paths.locate()), Docker(), cache))
    print_values("lab: removed", ("what", "names"), removed, json)


data = typer.Typer(
    help="PostgreSQL with pgvector and Redis, in place of the managed stores.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
lab.add_typer(data, name="data")


@data.command()
def start(
    name: Annotated[str, typer.Argument(help="The container's name, which is also its host name in the lab.")],
    throw_away: Annotated[
        bool, typer.Option("--throw-away", help="Replace stores of another checkout with empty ones.")
    ] = False,
    json: Json = False,
) -> None:
    """Start the stores, unless they run, with their own passwords and certificate authority."""
    from ollama_gpu.core import paths
    from ollama_gpu.core.console import print_values
    from ollama_gpu.local.lab import data as tier
    from ollama_gpu.local.lab import host_settings, images
    from ollama_gpu.local.lab.docker import Docker
    from ollama_gpu.local.lab.locations import locate
    from ollama_gpu.terraform.progress import progress_view

    where = locate(paths.locate())
    view = progress_view(console_is_terminal=False, quiet=True)
    docker, folder = Docker(), tier.folder(where, name)
    image = images.ensure(tier.IMAGE, host_settings.read(), docker, where.logs, view, force=False)
    secrets = tier.load_or_create_secrets(folder)
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
    """Remove the stores, their data and their passwords."""
    from ollama_gpu.core import paths
    from ollama_gpu.local.lab import data as tier
    from ollama_gpu.local.lab.docker import Docker
    from ollama_gpu.local.lab.locations import locate

    tier.stop(name, Docker(), folder=tier.folder(locate(paths.locate()), name))
