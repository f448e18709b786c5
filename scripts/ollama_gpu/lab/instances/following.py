"""An environment's instances and their containers, brought together."""

from __future__ import annotations

from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.lab import handover, names, places
from ollama_gpu.lab.docker import Docker

from .containers import Containers, Settings
from .credentials import Credentials
from .view import View

_known: dict[tuple[str, str, str], tuple[View, Containers]] = {}


def reconcile(context: Context, docker: Docker, gateway: str) -> dict[str, str]:
    """Let the environment's containers be as its running instances are; see `Containers.reconcile`.

    ``gateway`` is the address at which containers reach the embedded AWS. Returns the IPv4 address of each instance
    that runs, by instance id. What never changes of an instance is asked once in the life of this process. Raises
    UserError when the images have not been made or the engine does not answer, and botocore's errors.
    """
    key = (context.aws.endpoint or "", names.prefix(context), gateway)
    if key not in _known:
        view = View(context.aws, context.environment.name, context.contract)
        consoles = places.locate(context.paths).work / context.environment.name / "consoles"
        prefix = names.prefix(context)
        settings = Settings(
            *_images(context), gateway=gateway, prefix=prefix, network=names.network(prefix), consoles=consoles
        )
        _known[key] = (view, Containers(docker, settings, Credentials(context.aws)))
    view, containers = _known[key]
    return containers.reconcile(view.read())


def container(context: Context, identifier: str) -> str:
    """The name of an instance's container."""
    return f"{names.prefix(context)}-{identifier}"


def metadata_container(context: Context, identifier: str) -> str:
    """The name of the container that serves an instance's metadata: what `events` takes."""
    return f"{container(context, identifier)}-metadata"


def _images(context: Context) -> tuple[str, str]:
    made = handover.read(places.locate(context.paths).handover)
    try:
        return str(made["lab_base_image"]), str(made["lab_metadata_image"])
    except KeyError as error:
        raise UserError("The lab's images have not been made.", "Make them with: ollama-gpu lab supply") from error
