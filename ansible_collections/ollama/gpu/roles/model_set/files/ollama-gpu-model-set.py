#!/usr/bin/env python3
"""Update the models that this host serves to the environment's model set, without a restart or a cut answer.

A timer runs this program. When the set has changed, it copies new models by digest, then loads and checks them before
they are served. After that it withdraws the removed models, and Ollama frees their memory when their last answer ends.
After a failure, the host serves the same models as before, and the next run tries again.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, "/usr/local/lib/ollama-gpu")  # role `common` installs the module there
from ollama_gpu_host import (
    HttpError,
    aws_client,
    full_name,
    haproxy,
    http,
    sha256_of,
    weights_of,
    write_atomically,
)

SETTINGS = "/etc/ollama-gpu/model-set.json"
ANSWER_SECONDS = 60
AGAIN_SECONDS = 300  # wait before retrying a set that could not be served
SHORT_DIGEST = slice(len("sha256:"), len("sha256:") + 12)
_NAME = re.compile(r"(?:(?:(?P<host>[^/]+)/)?(?P<namespace>[^/]+)/)?(?P<model>[^/:]+)(?::(?P<tag>[^/:]+))?")

Model = dict[str, Any]


class Problem(Exception):
    """Why this host cannot serve the set. The message goes to the journal."""


@dataclass(frozen=True)
class Settings:
    """The settings file that the role writes. ``gpus`` has a UUID for each of ``ports``, empty for the CPU."""

    boot_lock: str
    gateway_names: str
    gateway_socket: str
    gpus: list[str]
    instance: str
    instance_program: str
    ports: list[int]
    s3_endpoint: str
    set_file: str
    source: str
    state: str
    store: str
    store_program: str


def manifest_of(store: Path, name: str) -> Path:
    """Return the path of a model's manifest. The store's program has already validated the name."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise Problem(f"{name!r} is not a valid model name.")
    host, namespace = match["host"] or "registry.ollama.ai", match["namespace"] or "library"
    return store / "manifests" / host / namespace / match["model"] / (match["tag"] or "latest")


def changes(served: Sequence[Model], wanted: Sequence[Model]) -> tuple[list[Model], list[Model]]:
    """Return the models to add and the models to remove, compared by name and digest."""
    here, there = ({(full_name(model["name"]), model["digest"]) for model in each} for each in (served, wanted))
    come = [model for model in wanted if (full_name(model["name"]), model["digest"]) not in here]
    go = [model for model in served if (full_name(model["name"]), model["digest"]) not in there]
    return come, go


def formerly(before: Mapping[str, Any], wanted: Sequence[Model]) -> list[Model]:
    """Return names that are no longer served but whose weights are: Ollama still lists the process by the old name."""
    used = {weights_of(model) for model in wanted}
    names = {full_name(model["name"]) for model in wanted}
    found = {
        full_name(model["name"]): {"name": model["name"], "digest": model["digest"], "weights": weights_of(model)}
        for model in [*before.get("formerly", []), *before["models"]]
        if weights_of(model) in used and full_name(model["name"]) not in names
    }
    return list(found.values())


def gateway_names(wanted: Sequence[Model]) -> dict[str, str]:
    """Return the gateway's map: a request's model in lower case, and its name in the metrics."""
    names = {}
    for model in wanted:
        name = str(model["name"]).lower()
        names[name] = name
        if name.endswith(":latest"):
            names[name[: -len(":latest")]] = name
    return names


class Host:
    """Access to everything outside this program: files, programs, Ollama, the gateway."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Path(settings.store)

    def served(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(Path(self._settings.set_file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Problem(f"{self._settings.set_file} cannot be read ({error}). Run the play on this host.") from error
        return found

    def wanted(self) -> list[Model]:
        """Return the model set in the environment's SSM parameter."""
        from botocore.exceptions import BotoCoreError, ClientError

        instance = json.loads(Path(self._settings.instance).read_text(encoding="utf-8"))
        name = instance["parameters"]["models"]
        try:
            client = aws_client("ssm", instance, attempts=3, connect_timeout=5, read_timeout=10)
            value = client.get_parameter(Name=name)["Parameter"]["Value"]
            models: list[Model] = json.loads(value)["models"]
        except (BotoCoreError, ClientError) as error:
            raise Problem(f"The parameter {name} cannot be read: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise Problem(f"The parameter {name} does not contain a model set: {error!r}") from error
        if not models or not all(isinstance(model, dict) and {"name", "digest"} <= set(model) for model in models):
            raise Problem(f"The parameter {name} does not contain a model set.")
        return models

    def require_patience(self, wanted: Sequence[Model]) -> None:
        """Raise the previous Problem if this set failed less than AGAIN_SECONDS ago."""
        with contextlib.suppress(OSError, ValueError):
            tried = json.loads(self._tried.read_text(encoding="utf-8"))
            if tried["models"] == list(wanted) and time.time() - tried["at"] < AGAIN_SECONDS:
                told = (self._tried.parent / "told").read_text(encoding="utf-8")
                raise Problem(told[len("failed: ") :])

    def note_try(self, wanted: Sequence[Model]) -> None:
        write_atomically(self._tried, json.dumps({"models": list(wanted), "at": time.time()}))

    def forget_try(self) -> None:
        self._tried.unlink()

    @property
    def _tried(self) -> Path:
        return Path(self._settings.state) / "tried.json"

    def require_room(self, models: Sequence[Model]) -> None:
        """Raise Problem if the models do not fit into memory: Ollama would unload a model in use to make room."""
        needed = sum({weights_of(model): int(model.get("memory_bytes", 0)) for model in models}.values())
        for gpu in self._settings.gpus if needed else ():
            free = self._free(gpu)
            if free < needed:
                names = ", ".join(model["name"] for model in models)
                raise Problem(
                    f"{names} need {needed / 2**30:.2f} GiB and {gpu or 'the memory'} has {free / 2**30:.2f} GiB free "
                    "next to the served models. A new instance loads the whole set at its boot."
                )

    def _free(self, gpu: str) -> int:
        if not gpu:
            meminfo = Path("/proc/meminfo").read_text(encoding="ascii")
            found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
            return int(found[1]) << 10 if found else 0
        query = ["nvidia-smi", "-i", gpu, "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
        said = self._output(query, seconds=60).strip()
        if not said.isdigit():
            raise Problem(f"nvidia-smi does not report the free memory of {gpu}: {said}")
        return int(said) << 20

    def sync(self, models: Sequence[Model], prune: bool = False) -> None:
        """Copy these models into the store. With ``prune``, remove all others."""
        settings = self._settings
        command = [settings.store_program, "sync", "--store", settings.store, "--source", settings.source]
        command += ["--s3-endpoint", settings.s3_endpoint] if settings.s3_endpoint else []
        command += ["--prune"] if prune else []
        self._output([*command, "--", *(f"{model['name']}@{model['digest']}" for model in models)], seconds=7200)

    def warm(self, models: Sequence[Model]) -> None:
        """Load these models in every Ollama and check that each is fully on its GPU."""
        asked = Path(self._settings.state) / "wanted.json"
        write_atomically(asked, json.dumps({"models": list(models)}))
        for index in range(len(self._settings.ports)):
            self._output([self._settings.instance_program, "warm", str(index), "--models", str(asked)], seconds=1800)

    def _output(self, command: Sequence[str], seconds: float) -> str:
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Problem(f"{command[0]}: {error}") from error
        if ended.returncode:
            said = (ended.stderr.strip() or ended.stdout.strip()).splitlines() or [f"status {ended.returncode}"]
            raise Problem(said[-1])
        return ended.stdout

    def manifest(self, model: Model) -> bytes | None:
        """Return a model's manifest, or None if the store does not have the one with its digest."""
        with contextlib.suppress(FileNotFoundError):
            content = manifest_of(self._store, model["name"]).read_bytes()
            if sha256_of(content) == model["digest"]:
                return content
        return None

    def put_manifest(self, name: str, content: bytes | None) -> None:
        """Set the manifest of a name. None removes the name, so that Ollama no longer offers it."""
        file = manifest_of(self._store, name)
        if content is None:
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # the folder has other tags
                file.parent.rmdir()
            return
        owner = self._store.stat()
        if not file.parent.is_dir():
            file.parent.mkdir(mode=0o755)
            os.chown(file.parent, owner.st_uid, owner.st_gid)
        partial = file.with_name(f".{file.name}")  # Ollama's list skips names that begin with a dot
        partial.write_bytes(content)
        os.chown(partial, owner.st_uid, owner.st_gid)
        partial.chmod(0o644)
        partial.replace(file)

    def unload(self, model: Model, content: bytes) -> None:
        """Make every Ollama end a model's process after its last answer.

        Ollama finds the process by its weights. The model's own name may point to another model by now, so a temporary
        name points to the old manifest for the duration of the request.
        """
        name = f"retired:{model['digest'][SHORT_DIGEST]}"
        self.put_manifest(name, content)
        try:
            for port in self._settings.ports:
                self._ask(port, {"model": name, "keep_alive": 0})
        finally:
            self.put_manifest(name, None)

    def _ask(self, port: int, body: dict[str, Any]) -> None:
        address = f"http://127.0.0.1:{port}/api/generate"
        try:
            http(address, body, ANSWER_SECONDS)
        except HttpError as error:
            raise Problem(f"{address} answered {error.status}: {error.text}") from error
        except OSError as error:
            raise Problem(f"{address} does not answer: {error}") from error

    def keep(self, served: Mapping[str, Any]) -> None:
        """Write the set that the health service, the metrics and every start of Ollama read."""
        write_atomically(Path(self._settings.set_file), json.dumps(served, indent=2) + "\n")

    def tell_gateway(self, names: Mapping[str, str]) -> None:
        """Update the gateway's model names at run time and for its next start. A reload would lose the used slots."""
        file = Path(self._settings.gateway_names)
        head = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        write_atomically(file, "\n".join([*head, *(f"{key} {name}" for key, name in names.items())]) + "\n")
        commands = [f"clear map {file}", *(f"add map {file} {key} {name}" for key, name in names.items())]
        try:
            said = haproxy(self._settings.gateway_socket, "; ".join(commands))
        except OSError as error:
            raise Problem(f"The gateway does not answer on {self._settings.gateway_socket}: {error}") from error
        if said:
            raise Problem(f"The gateway refused the model names: {said}")


def follow(host: Host) -> list[Model]:
    """Serve the wanted set and return it. After a Problem, the host serves the same models as before."""
    before = host.served()
    wanted = host.wanted()
    come, go = changes(before["models"], wanted)
    if not come and not go:
        return wanted
    host.require_patience(wanted)
    loaded = {weights_of(model) for model in [*before["models"], *before.get("formerly", [])]}
    fresh = [model for model in come if weights_of(model) not in loaded]
    host.require_room(fresh)
    old = {model["digest"]: host.manifest(model) for model in go}
    if come:
        host.note_try(wanted)
        take(host, come, go, fresh, old, wanted)
        host.forget_try()
    host.keep({"models": wanted, "formerly": formerly(before, wanted)})
    host.tell_gateway(gateway_names(wanted))
    names = {full_name(model["name"]) for model in wanted}
    used = {weights_of(model) for model in wanted}
    for model in go:
        if full_name(model["name"]) not in names:
            host.put_manifest(model["name"], None)
    for model in {weights_of(model): model for model in go if weights_of(model) not in used}.values():
        content = old[model["digest"]]
        if content:
            host.unload(model, content)
    host.sync(wanted, prune=True)
    return wanted


def take(
    host: Host,
    come: Sequence[Model],
    go: Sequence[Model],
    fresh: Sequence[Model],
    old: Mapping[str, bytes | None],
    wanted: Sequence[Model],
) -> None:
    """Copy and load the new models. After a failure, remove them: Ollama would load them at the first request."""
    try:
        host.sync(wanted)
        host.warm(wanted)
    except Problem:
        for model in fresh:
            if content := host.manifest(model):
                with contextlib.suppress(Problem):
                    host.unload(model, content)
        replaced = {full_name(model["name"]): old[model["digest"]] for model in go}
        for model in come:
            host.put_manifest(model["name"], replaced.get(full_name(model["name"])))
        raise


def tell(state: Path, line: str) -> None:
    """Write a line to the journal, unless the last run wrote the same line."""
    told = state / "told"
    if not told.is_file() or told.read_text(encoding="utf-8") != line:
        print(f"ollama-gpu-model-set: {line}", flush=True)
        write_atomically(told, line)


@contextlib.contextmanager
def unless_booting(lock: str) -> Iterator[bool]:
    """Take the boot's lock. Yields False while a boot runs, because the boot loads the set itself."""
    file = Path(lock)
    if not file.parent.is_dir():  # the boot program never ran on this host
        yield True
        return
    with file.open("a", encoding="utf-8") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ollama-gpu-model-set", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--settings", type=Path, default=Path(SETTINGS), help="default: %(default)s")
    options = parser.parse_args(argv)
    settings = Settings(**json.loads(options.settings.read_text(encoding="utf-8")))
    state = Path(settings.state)
    state.mkdir(mode=0o755, parents=True, exist_ok=True)
    with unless_booting(settings.boot_lock) as free:
        if not free:
            return 0
        try:
            served = follow(Host(settings))
        except Problem as problem:
            tell(state, f"failed: {problem}")
            return 1
        names = " ".join(f"{model['name']}@{model['digest'][SHORT_DIGEST]}" for model in served)
        tell(state, f"serves {names}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
