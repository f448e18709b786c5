"""What ENV=local adds to a deploy: the image, the models, and the lab that runs the instances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ollama_gpu.bake import command as bake
from ollama_gpu.core.console import note
from ollama_gpu.core.side_by_side import side_by_side
from ollama_gpu.deploy.story import Story
from ollama_gpu.environment import instance_settings, role_variables
from ollama_gpu.environment.context import Context
from ollama_gpu.local.lab import locations, names
from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.local.lab.lab import Lab
from ollama_gpu.local.lab.progress_step import progress_step
from ollama_gpu.local.lab.supplies import model
from ollama_gpu.local.usual import MODEL_SET, Usual
from ollama_gpu.models import model_set
from ollama_gpu.models import serving as serving_settings
from ollama_gpu.terraform.progress import ProgressView

BAKE_ONLY = ("model_store_models", "model_store_source")
"""A bake reads models from the lab's mirror. A boot reads them from the artifact bucket, by the model set."""


def story(context: Context) -> Story:
    """Say what the deploy will do and how long it usually takes. Returns the story, which announces each step."""
    from ollama_gpu.bake import forecast  # loads the lab, which a deploy to AWS never needs

    note("ENV=local: looking at what this machine already has")
    usual = Usual(locations.locate(context.paths).cache)
    return Story(forecast.of(context.paths, context.environment), usual)


@contextmanager
def supplying(context: Context, view: ProgressView) -> Iterator[None]:
    """Make the lab's missing supplies beside the caller's work, which needs none of them."""
    from ollama_gpu.local.lab.supply import supply

    with side_by_side() as beside:
        own = view.beside()
        beside.start(lambda: supply(locations.locate(context.paths), Docker(), own))
        yield


def set_up(context: Context, lab: bool, story: Story, view: ProgressView) -> Context:
    """Start the lab, or remove its containers without ``lab``. Returns the context with Terraform's `instance`."""
    settings = _prepare(context, story, view) if lab else None
    if not lab and (removed := Lab(context).leave()).containers:
        note(f"lab: removed {len(removed.containers)} containers, because this deploy runs without the lab")
    instance_settings.keep(context.paths, context.environment, settings)
    context = replace(context, instance_settings=settings)
    if lab:
        Lab(context).start()  # before the apply, which starts instances
    return context


def _prepare(context: Context, story: Story, view: ProgressView) -> dict[str, Any]:
    """Bake the image, publish the models, and return Terraform's variable `instance`."""
    story.begin("machine image")
    bake.run(context, bake.Options(), view)
    supplied = role_variables.read(context.paths, context.environment)
    story.begin("model set", MODEL_SET)
    with progress_step(view, "models"):
        _publish_models(context, supplied["lab_models"])
    lab = Lab(context)
    endpoint = urlsplit(context.aws.endpoint or "")
    return {
        "endpoint_url": f"http://{names.AWS_NAME}:{endpoint.port}",
        "variables": {
            **{name: value for name, value in supplied.items() if name not in BAKE_ONLY},
            "boot_store_authorities": lab.authority.certificate.read_text(encoding="utf-8"),
            "open_webui_url": lab.chat_address.url,
        },
    }


def _publish_models(context: Context, supplied: list[dict[str, str]]) -> None:
    """Publish the lab's models if no model set is published. A set that the administrator published stays."""
    if model_set.published(context) is not None:
        return
    found = model.find(locations.locate(context.paths).cache)
    serving = serving_settings.read(context.paths, context.environment)
    store = model_set.store(found.folder if found else None)
    model_set.ModelSet(context, serving, store).publish(supplied)
