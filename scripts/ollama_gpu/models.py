"""The model set of an environment: which models its instances serve, by name and digest, and the parameter naming it.

Running instances follow the parameter (role model_set): who changes it changes what is served, without a new image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu import embedding_model, instance_gpus, model_memory
from ollama_gpu.aws import Aws, code_of, delete_parameter, parameter, put_parameter
from ollama_gpu.console import note
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.model_bucket import Bucket, Say
from ollama_gpu.model_memory import GIB, Need, Serving, Shape
from ollama_gpu.model_store import Manifest, Store, default_folder, full_name, is_digest, manifest_path

_BYTES_AT_MOST = 8192
"""An advanced parameter of SSM holds no more."""


@dataclass(frozen=True)
class Model:
    """A model by name and digest, the sha256 of its manifest (its first 12 digits are the ID of `ollama list`).

    ``weights`` is the sha256 of its GGUF file: two names of one file share a process of Ollama. ``memory_bytes`` is
    what it takes on each GPU with the slots and the context that it was published for.
    """

    name: str
    digest: str
    weights: str = ""
    memory_bytes: int = 0
    embeds: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Without what is not known."""
        return {key: value for key, value in asdict(self).items() if value}


def parse(text: str) -> dict[str, str]:
    """NAME or NAME@sha256:HEX, as the verbs take it. Raises UserError (status 2)."""
    name, at, digest = text.partition("@")
    manifest_path(name)
    if at and not is_digest(digest):
        raise UserError(f"`{digest}` is no digest of a model.", "Write it as sha256: and 64 digits.", status=2)
    return {"name": name, "digest": digest} if at else {"name": name}


def published(environment: Environment, contract: Contract, aws: Aws) -> list[Model] | None:
    """The environment's model set; None when none was ever published."""
    value = parameter(aws, contract.parameter("models", environment.name))
    if value is None:
        return None
    known = Model.__dataclass_fields__
    return [Model(**{key: each[key] for key in known if key in each}) for each in json.loads(value)["models"]]


@dataclass(frozen=True)
class ModelSet:
    """The verbs that change a set. ``serving`` is how the environment's instances serve, ``store`` this machine's.

    ``embedder`` names the model that every set must have for uploaded documents; empty: none.
    """

    environment: Environment
    contract: Contract
    aws: Aws
    serving: Serving
    store: Store
    say: Say = note
    embedder: str = ""

    @property
    def default(self) -> list[str]:
        """The set of the environment's variable `models`. Raises UserError where it names none."""
        if named := self.environment.variables.models:
            return named
        raise UserError(
            f"Nothing says which models ENV={self.environment.name} serves.",
            f'Name them, or write models = ["gemma3:4b"] into {self.environment.variables_file.name}.',
            status=2,
        )

    def publish(self, wanted: Sequence[Mapping[str, str]]) -> bool:
        """Make these the whole set: each a ``name`` and, to insist on one, a ``digest``. False: it was this already.

        What the bucket has is not uploaded again, and a digest that it has need not be on this machine; every file is
        verified before it goes, and the parameter comes last: whoever reads it finds the models there. Raises
        UserError, before anything is changed, for a model that cannot be had and for a set that a GPU cannot hold.
        """
        if len({full_name(each["name"]) for each in wanted}) != len(wanted):
            raise UserError("A model is named twice.", "Name each model once: a set has one digest of it.", status=2)
        embedding_model.require(self.embedder, [each["name"] for each in wanted], self.environment)
        bucket = Bucket(self.environment, self.contract, self.aws)
        bucket.require()
        found = [self._find(bucket, each["name"], each.get("digest", "")) for each in wanted]
        needs = [model_memory.need(shape, self.serving) for _, shape, _ in found]
        weights = [manifest.weights.digest for manifest, _, _ in found]
        require_fit(self.environment, self.serving, dict(zip(weights, needs, strict=True)))
        for manifest, shape, here in found:
            if here:
                bucket.upload(manifest, shape, self.store, self.say)
            else:
                bucket.name_it(manifest, self.say)
        models = [
            Model(manifest.name, manifest.digest, manifest.weights.digest, need.total, shape.embeds)
            for (manifest, shape, _), need in zip(found, needs, strict=True)
        ]
        value = json.dumps({"models": [model.as_dict() for model in models]}, separators=(",", ":"))
        if len(value.encode()) > _BYTES_AT_MOST:
            raise UserError(f"{len(models)} models do not fit into a parameter of SSM.", "Publish fewer.")
        name = self.contract.parameter("models", self.environment.name)
        if parameter(self.aws, name) == value:
            return False
        tags = self.contract.driver_tags(self.environment.name)
        put_parameter(self.aws, name, value, "The models that instances serve: name and digest", tags)
        return True

    def add(self, wanted: Mapping[str, str]) -> bool:
        """A further model for the set. Raises UserError where its name is there with another digest."""
        current = self._current()
        if (there := _named(current, wanted["name"])) is None:
            return self.publish([*_pinned(current), wanted])
        if wanted.get("digest", there.digest) != there.digest:
            raise UserError(
                f"{there.name} is served already, with the digest {there.digest}.",
                f"Serve another one with: ollama-gpu models pin {wanted['name']}@{wanted['digest']} "
                f"--env {self.environment.name}",
            )
        return False

    def remove(self, name: str) -> Model:
        """Take a model out of the set; returns which. The bucket keeps it, so that it can come back by its digest."""
        current = self._current()
        gone = self._require(current, name)
        left = [model for model in current if model is not gone]
        if not any(not model.embeds for model in left):
            raise UserError(
                f"{gone.name} is the last model that people can chat with.",
                f"Add another one first: ollama-gpu models add NAME --env {self.environment.name}",
            )
        self.publish(_pinned(left))
        return gone

    def pin(self, wanted: Mapping[str, str]) -> bool:
        """Serve this digest of a model of the set; without one, what this machine's store has of it now."""
        current = self._current()
        there = self._require(current, wanted["name"])
        return self.publish([{**wanted, "name": there.name} if model is there else _pin(model) for model in current])

    def _current(self) -> list[Model]:
        return published(self.environment, self.contract, self.aws) or []

    def _require(self, current: Sequence[Model], name: str) -> Model:
        found = _named(current, name)
        if found is None:
            have = ", ".join(model.name for model in current) or "no model"
            raise UserError(
                f"{name} is not served: the set of {self.environment.name} has {have}.",
                f"Add it with: ollama-gpu models add {name} --env {self.environment.name}",
            )
        return found

    def _find(self, bucket: Bucket, name: str, digest: str) -> tuple[Manifest, Shape, bool]:
        """A model, and whether it comes from this machine's store; else the bucket has all of it."""
        if digest and (there := bucket.manifest(name, digest)) and (shape := bucket.shape(there)):
            return there, shape, False
        manifest = self.store.manifest(name, digest)
        return manifest, self.store.shape(manifest), True


def weigh(environment: Environment, contract: Contract, aws: Aws, serving: Serving) -> dict[str, Need]:
    """What each model of the published set takes on a GPU, by its weights; none of those whose shape is not known."""
    bucket = Bucket(environment, contract, aws)
    needs = {}
    for model in published(environment, contract, aws) or []:
        manifest = bucket.manifest(model.name, model.digest)
        shape = bucket.shape(manifest) if manifest else None
        if manifest and shape:
            needs[manifest.weights.digest] = model_memory.need(shape, serving)
    return needs


def require_fit(environment: Environment, serving: Serving, needs: Mapping[str, Need]) -> None:
    """Raises UserError with the sum where a GPU of the fleets cannot hold all models. ``needs``: by their weights."""
    types = sorted({name for fleet in environment.variables.fleets.values() for name in fleet.instance_types})
    total = model_memory.total(needs.values())
    small = []
    for instance_type in types:
        try:
            gpus = instance_gpus.of(instance_type)
        except ValueError as error:
            raise UserError(f"{error}.", f"Correct instance_types in {environment.variables_file.name}.") from error
        if gpus.memory_bytes < total:
            small.append(f"{instance_type} ({gpus.name}, {gpus.memory_bytes / GIB:.2f} GiB)")
    if small:
        added_up = model_memory.explain(list(needs.values()), serving)
        raise UserError(
            f"The models do not fit a GPU of {', '.join(small)}: {added_up}.",
            "Serve fewer or smaller models; or fewer slots (ollama_num_parallel), a shorter context "
            "(ollama_context_length) or a smaller cache (ollama_kv_cache_type: q8_0) by "
            f"inventories/{environment.name}/group_vars/all.yml; or choose types with larger GPUs in "
            f"{environment.variables_file.name}.",
        )


def forget(environment: Environment, contract: Contract, aws: Aws) -> None:
    """Remove the parameter and the environment's copy of the store."""
    delete_parameter(aws, contract.parameter("models", environment.name))
    try:
        Bucket(environment, contract, aws).empty()
    except ClientError as error:
        if code_of(error) != "NoSuchBucket":  # the account was never bootstrapped: nothing was published
            raise


def store(folder: Path | None = None) -> Store:
    """The store in a folder, this machine's own when None."""
    return Store(folder or default_folder())


def _named(models: Sequence[Model], name: str) -> Model | None:
    return next((model for model in models if full_name(model.name) == full_name(name)), None)


def _pinned(models: Sequence[Model]) -> list[dict[str, str]]:
    return [_pin(model) for model in models]


def _pin(model: Model) -> dict[str, str]:
    return {"name": model.name, "digest": model.digest}
