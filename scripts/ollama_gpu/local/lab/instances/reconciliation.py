"""Keeps an environment's containers in step with its instances."""

from __future__ import annotations

from ollama_gpu.core.aws import parameter
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment import images
from ollama_gpu.environment.context import Context
from ollama_gpu.local.lab import locations, names, variables_file
from ollama_gpu.local.lab.docker import Docker

from .containers import Containers, Settings
from .credentials import Credentials
from .view import View

_known: dict[tuple[str, str, str], tuple[View, Containers]] = {}


def reconcile(context: Context, docker: Docker, gateway: str) -> dict[str, str]:
    """Make the environment's containers match its running instances; see `Containers.reconcile`.

    ``gateway`` is the address at which containers reach the embedded AWS. Returns the IPv4 address of each running
    instance, by instance ID. The process caches the immutable properties of instances. Raises UserError when the images
    do not exist or the engine does not answer, and botocore's errors.
    """
    key = (context.aws.endpoint or "", names.prefix(context), gateway)
    if key not in _known:
        view = View(context.aws, context.environment.name, context.contract)
        consoles = locations.locate(context.paths).work / context.environment.name / "consoles"
        prefix = names.prefix(context)
        settings = Settings(
            *_images(context), gateway=gateway, prefix=prefix, network=names.network(prefix), consoles=consoles
        )
        _known[key] = (view, Containers(docker, settings, Credentials(context.aws)))
        if image := _published(context):
            _known[key][1].prepare(image)
    view, containers = _known[key]
    return containers.reconcile(view.read())


def container(context: Context, identifier: str) -> str:
    """Return the name of an instance's container."""
    return f"{names.prefix(context)}-{identifier}"


def metadata_container(context: Context, identifier: str) -> str:
    """Return the name of the container that serves an instance's metadata, which `events` takes."""
    return f"{container(context, identifier)}-metadata"


def _published(context: Context) -> str | None:
    """Return the container image that the next launch template version uses, None for the stock image."""
    published = parameter(context.aws, context.contract.parameter("image", context.environment.name))
    return next((each.container for each in images.baked(context) if each.identifier == published), None)


def _images(context: Context) -> tuple[str, str]:
    variables = variables_file.read(locations.locate(context.paths).variables_file)
    try:
        return str(variables["lab_base_image"]), str(variables["lab_metadata_image"])
    except KeyError as error:
        raise UserError("The lab's images do not exist.", "Build them: ollama-gpu lab supply") from error
