"""The model set of an environment: the models that its instances serve, by name and digest, in an SSM parameter.

Running instances follow the parameter (role model_set): a change takes effect without a new image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.catalogue import gpus as instance_gpus
from ollama_gpu.core.aws import code_of, delete_parameter, parameter, put_parameter
from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.settings import Environment
from ollama_gpu.models import embedding, memory
from ollama_gpu.models.bucket import Bucket, Say
from ollama_gpu.models.memory import GIB, Need, Serving, Shape
from ollama_gpu.models.store import Manifest, Store, default_folder, full_name, is_digest, manifest_path

_BYTES_AT_MOST = 8192
"""The limit of an advanced SSM parameter."""


@dataclass(frozen=True)
class Model:
    """A model by name and digest, the sha256 of its manifest (its first 12 digits are the ID of `ollama list`).

    ``weights`` is the sha256 of its GGUF file: two names of one file share a process of Ollama. ``memory_bytes`` is
    its memory on each GPU, with the slots and the context that it was published for.
    """

    name: str
    digest: str
    weights: str = ""
    memory_bytes: int = 0
    embeds: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the known fields."""
        return {key: value for key, value in asdict(self).items() if value}


def parse(text: str) -> dict[str, str]:
    """Parse NAME or NAME@sha256:HEX. Raises UserError (status 2)."""
    name, at, digest = text.partition("@")
    manifest_path(name)
    if at and not is_digest(digest):
        raise UserError(
            f"`{digest}` is not a valid model digest.", "Write it as sha256: and 64 hexadecimal digits.", status=2
        )
    return {"name": name, "digest": digest} if at else {"name": name}


def published(context: Context) -> list[Model] | None:
    """Return the environment's model set; None if none was ever published."""
    value = parameter(context.aws, context.contract.parameter("models", context.environment.name))
    if value is None:
        return None
    known = Model.__dataclass_fields__
    return [Model(**{key: each[key] for key in known if key in each}) for each in json.loads(value)["models"]]


@dataclass(frozen=True)
class ModelSet:
    """Operations that change a model set. ``serving`` are the instances' settings, ``store`` is this machine's.

    ``embedder`` names the embedding model that every set must contain; empty: none.
    """

    context: Context
    serving: Serving
    store: Store
    say: Say = note
    embedder: str = ""

    @property
    def default(self) -> list[str]:
        """The set in the environment's variable `models`. Raises UserError if it is empty."""
        if named := self.context.environment.variables.models:
            return named
        raise UserError(
            f"No models are configured for ENV={self.context.environment.name}.",
            f'Name them, or set models = ["gemma3:4b"] in {self.context.environment.variables_file.name}.',
            status=2,
        )

    def publish(self, wanted: Sequence[Mapping[str, str]]) -> bool:
        """Replace the set: each entry has a ``name`` and optionally a ``digest``. Returns False if nothing changed.

        Files that the bucket has are not uploaded again, and a digest in the bucket need not be on this machine. Every
        file is verified before its upload. The parameter is written last, so that its models are always in the bucket.
        Raises UserError, before any change, for an unavailable model and for a set that does not fit a GPU.
        """
        if len({full_name(each["name"]) for each in wanted}) != len(wanted):
            raise UserError(
                "A model is named twice.", "Name each model once: a set has one digest per model.", status=2
            )
        embedding.require(self.embedder, [each["name"] for each in wanted], self.context.environment)
        bucket = Bucket(self.context)
        bucket.require()
        found = [self._find(bucket, each["name"], each.get("digest", "")) for each in wanted]
        needs = [memory.need(shape, self.serving) for _, shape, _ in found]
        weights = [manifest.weights.digest for manifest, _, _ in found]
        require_fit(self.context.environment, self.serving, dict(zip(weights, needs, strict=True)))
        for manifest, shape, here in found:
            if here:
                bucket.upload(manifest, shape, self.store, self.say)
            else:
                bucket.publish_name(manifest, self.say)
        models = [
            Model(manifest.name, manifest.digest, manifest.weights.digest, need.total, shape.embeds)
            for (manifest, shape, _), need in zip(found, needs, strict=True)
        ]
        value = json.dumps({"models": [model.as_dict() for model in models]}, separators=(",", ":"))
        if len(value.encode()) > _BYTES_AT_MOST:
            raise UserError(f"{len(models)} models do not fit into an SSM parameter.", "Publish fewer.")
        name = self.context.contract.parameter("models", self.context.environment.name)
        if parameter(self.context.aws, name) == value:
            return False
        tags = self.context.contract.driver_tags(self.context.environment.name)
        put_parameter(self.context.aws, name, value, "The models that instances serve: name and digest", tags)
        return True

    def add(self, wanted: Mapping[str, str]) -> bool:
        """Add a model to the set. Raises UserError if the set has another digest under its name."""
        current = self._current()
        if (there := _named(current, wanted["name"])) is None:
            return self.publish([*_pinned(current), wanted])
        if wanted.get("digest", there.digest) != there.digest:
            raise UserError(
                f"{there.name} is already served, with the digest {there.digest}.",
                f"Serve another one with: ollama-gpu models pin {wanted['name']}@{wanted['digest']} "
                f"--env {self.context.environment.name}",
            )
        return False

    def remove(self, name: str) -> Model:
        """Remove a model from the set and return it. The bucket keeps it, so that it can be added again by digest."""
        current = self._current()
        gone = self._require(current, name)
        left = [model for model in current if model is not gone]
        if not any(not model.embeds for model in left):
            raise UserError(
                f"{gone.name} is the last chat model.",
                f"Add another one first: ollama-gpu models add NAME --env {self.context.environment.name}",
            )
        self.publish(_pinned(left))
        return gone

    def pin(self, wanted: Mapping[str, str]) -> bool:
        """Serve this digest of a model in the set; without a digest, the one in this machine's store."""
        current = self._current()
        there = self._require(current, wanted["name"])
        return self.publish([{**wanted, "name": there.name} if model is there else _pin(model) for model in current])

    def _current(self) -> list[Model]:
        return published(self.context) or []

    def _require(self, current: Sequence[Model], name: str) -> Model:
        found = _named(current, name)
        if found is None:
            have = ", ".join(model.name for model in current) or "no model"
            raise UserError(
                f"{name} is not served: the set of {self.context.environment.name} has {have}.",
                f"Add it with: ollama-gpu models add {name} --env {self.context.environment.name}",
            )
        return found

    def _find(self, bucket: Bucket, name: str, digest: str) -> tuple[Manifest, Shape, bool]:
        """Return a model and whether to upload it from this machine's store; otherwise the bucket has it."""
        if digest and (there := bucket.manifest(name, digest)) and (shape := bucket.shape(there)):
            return there, shape, False
        manifest = self.store.manifest(name, digest)
        return manifest, self.store.shape(manifest), True


def weigh(context: Context, serving: Serving) -> dict[str, Need]:
    """Return the GPU memory of each published model by its weights; models of unknown shape are left out."""
    bucket = Bucket(context)
    needs = {}
    for model in published(context) or []:
        manifest = bucket.manifest(model.name, model.digest)
        shape = bucket.shape(manifest) if manifest else None
        if manifest and shape:
            needs[manifest.weights.digest] = memory.need(shape, serving)
    return needs


def require_fit(environment: Environment, serving: Serving, needs: Mapping[str, Need]) -> None:
    """Raises UserError if all models together do not fit a GPU of the fleets. ``needs`` is by weights."""
    types = sorted({name for fleet in environment.variables.fleets.values() for name in fleet.instance_types})
    total = memory.total(needs.values())
    small = []
    for instance_type in types:
        try:
            gpus = instance_gpus.of(instance_type)
        except ValueError as error:
            raise UserError(f"{error}.", f"Correct instance_types in {environment.variables_file.name}.") from error
        if gpus.memory_bytes < total:
            small.append(f"{instance_type} ({gpus.name}, {gpus.memory_bytes / GIB:.2f} GiB)")
    if small:
        added_up = memory.explain(list(needs.values()), serving)
        raise UserError(
            f"The models do not fit a GPU of {', '.join(small)}: {added_up}.",
            "Serve fewer or smaller models; or fewer slots (ollama_num_parallel), a shorter context "
            "(ollama_context_length) or a smaller cache (ollama_kv_cache_type: q8_0) by "
            f"inventories/{environment.name}/group_vars/all.yml; or choose types with larger GPUs in "
            f"{environment.variables_file.name}.",
        )


def unpublish(context: Context) -> None:
    """Remove the parameter and the environment's copy of the store."""
    delete_parameter(context.aws, context.contract.parameter("models", context.environment.name))
    try:
        Bucket(context).empty()
    except ClientError as error:
        if code_of(error) != "NoSuchBucket":  # the account was never bootstrapped: nothing was published
            raise


def store(folder: Path | None = None) -> Store:
    """Return the store in a folder; None means this machine's own."""
    return Store(folder or default_folder())


def _named(models: Sequence[Model], name: str) -> Model | None:
    return next((model for model in models if full_name(model.name) == full_name(name)), None)


def _pinned(models: Sequence[Model]) -> list[dict[str, str]]:
    return [_pin(model) for model in models]


def _pin(model: Model) -> dict[str, str]:
    return {"name": model.name, "digest": model.digest}
