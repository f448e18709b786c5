#!/usr/bin/env python3
"""Let this host serve the environment's model set as it is now: no restart, and no answer is cut.

A timer runs it. Where the set has changed, new models are copied by digest, loaded and looked at before anybody relies
on them; then those that went are offered no longer, and Ollama gives up their memory when their last answer has ended.
What fails leaves the host with what it served before, and the next run tries again.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTINGS = "/etc/ollama-gpu/model-set.json"
ANSWER_SECONDS = 60
AGAIN_SECONDS = 300  # a set that could not be served is not loaded anew at every look
SHORT_DIGEST = slice(len("sha256:"), len("sha256:") + 12)
_NAME = re.compile(r"(?:(?:(?P<host>[^/]+)/)?(?P<namespace>[^/]+)/)?(?P<model>[^/:]+)(?::(?P<tag>[^/:]+))?")

Model = dict[str, Any]


class Problem(Exception):
    """Why this host cannot serve the set: a sentence for the journal."""


@dataclass(frozen=True)
class Settings:
    """The file that the role writes. ``gpus`` are UUIDs, empty on the CPU, one for each of ``ports``."""

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


def full_name(name: str) -> str:
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def manifest_of(store: Path, name: str) -> Path:
    """Where a model's manifest lies; the store's own program has checked the name before it gets here."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise Problem(f"{name!r} is no model's name.")
    host, namespace = match["host"] or "registry.ollama.ai", match["namespace"] or "library"
    return store / "manifests" / host / namespace / match["model"] / (match["tag"] or "latest")


def weights_of(model: Model) -> str:
    """What Ollama keeps a process for: two names of one file share it."""
    return str(model.get("weights") or model["digest"])


def changes(served: Sequence[Model], wanted: Sequence[Model]) -> tuple[list[Model], list[Model]]:
    """What has to come, and what has to go: by name and digest."""
    here, there = ({(full_name(model["name"]), model["digest"]) for model in each} for each in (served, wanted))
    come = [model for model in wanted if (full_name(model["name"]), model["digest"]) not in here]
    go = [model for model in served if (full_name(model["name"]), model["digest"]) not in there]
    return come, go


def formerly(before: Mapping[str, Any], wanted: Sequence[Model]) -> list[Model]:
    """Names that are served no longer, whose weights are: Ollama goes on to list their process by the name it got."""
    used = {weights_of(model) for model in wanted}
    names = {full_name(model["name"]) for model in wanted}
    found = {
        full_name(model["name"]): {"name": model["name"], "digest": model["digest"], "weights": weights_of(model)}
        for model in [*before.get("formerly", []), *before["models"]]
        if weights_of(model) in used and full_name(model["name"]) not in names
    }
    return list(found.values())


def gateway_names(wanted: Sequence[Model]) -> dict[str, str]:
    """A request's model, in lower case, and the name that the metrics have for it: the gateway's map."""
    names = {}
    for model in wanted:
        name = str(model["name"]).lower()
        names[name] = name
        if name.endswith(":latest"):
            names[name[: -len(":latest")]] = name
    return names


class Host:
    """Everything outside this program: files, programs, Ollama, the gateway."""

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
        """The set as the parameter has it."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        instance = json.loads(Path(self._settings.instance).read_text(encoding="utf-8"))
        name = instance["parameters"]["models"]
        make: Any = boto3.client
        # boto3 before 1.28 does not read AWS_ENDPOINT_URL itself
        endpoint = instance.get("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL")
        config = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"})
        try:
            client = make("ssm", region_name=instance["region"], endpoint_url=endpoint, config=config)
            value = client.get_parameter(Name=name)["Parameter"]["Value"]
            models: list[Model] = json.loads(value)["models"]
        except (BotoCoreError, ClientError) as error:
            raise Problem(f"The parameter {name} cannot be read: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise Problem(f"The parameter {name} holds no model set: {error!r}") from error
        if not models or not all(isinstance(model, dict) and {"name", "digest"} <= set(model) for model in models):
            raise Problem(f"The parameter {name} holds no model set.")
        return models

    def require_patience(self, wanted: Sequence[Model]) -> None:
        """Raises Problem, the former one, where this very set failed a moment ago."""
        with contextlib.suppress(OSError, ValueError):
            tried = json.loads(self._tried.read_text(encoding="utf-8"))
            if tried["models"] == list(wanted) and time.time() - tried["at"] < AGAIN_SECONDS:
                told = (self._tried.parent / "told").read_text(encoding="utf-8")
                raise Problem(told[len("failed: ") :])

    def note_try(self, wanted: Sequence[Model]) -> None:
        write(self._tried, json.dumps({"models": list(wanted), "at": time.time()}))

    def forget_try(self) -> None:
        self._tried.unlink()

    @property
    def _tried(self) -> Path:
        return Path(self._settings.state) / "tried.json"

    def require_room(self, models: Sequence[Model]) -> None:
        """Ollama would unload a model that is in use by others to make room: what does not fit is never loaded."""
        needed = sum({weights_of(model): int(model.get("memory_bytes", 0)) for model in models}.values())
        for gpu in self._settings.gpus if needed else ():
            free = self._free(gpu)
            if free < needed:
                names = ", ".join(model["name"] for model in models)
                raise Problem(
                    f"{names} need {needed / 2**30:.2f} GiB and {gpu or 'the memory'} has {free / 2**30:.2f} GiB free "
                    "beside what is served. An instance that boots anew takes the set as a whole."
                )

    def _free(self, gpu: str) -> int:
        if not gpu:
            meminfo = Path("/proc/meminfo").read_text(encoding="ascii")
            found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
            return int(found[1]) << 10 if found else 0
        query = ["nvidia-smi", "-i", gpu, "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
        said = self._output(query, seconds=60).strip()
        if not said.isdigit():
            raise Problem(f"nvidia-smi does not say how much memory of {gpu} is free: {said}")
        return int(said) << 20

    def sync(self, models: Sequence[Model], prune: bool = False) -> None:
        """Have these models in the store; with ``prune`` no others."""
        settings = self._settings
        command = [settings.store_program, "sync", "--store", settings.store, "--source", settings.source]
        command += ["--s3-endpoint", settings.s3_endpoint] if settings.s3_endpoint else []
        command += ["--prune"] if prune else []
        self._output([*command, "--", *(f"{model['name']}@{model['digest']}" for model in models)], seconds=7200)

    def warm(self, models: Sequence[Model]) -> None:
        """Have these models loaded in every Ollama, each wholly where it must be."""
        asked = Path(self._settings.state) / "wanted.json"
        write(asked, json.dumps({"models": list(models)}))
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
        """A model's manifest, where the store has the one of its digest."""
        with contextlib.suppress(FileNotFoundError):
            content = manifest_of(self._store, model["name"]).read_bytes()
            if "sha256:" + hashlib.sha256(content).hexdigest() == model["digest"]:
                return content
        return None

    def put_manifest(self, name: str, content: bytes | None) -> None:
        """Let a name lead to this manifest; None: to nothing, so that Ollama offers it no longer."""
        file = manifest_of(self._store, name)
        if content is None:
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # the folder holds other tags
                file.parent.rmdir()
            return
        owner = self._store.stat()
        if not file.parent.is_dir():
            file.parent.mkdir(mode=0o755)
            os.chown(file.parent, owner.st_uid, owner.st_gid)
        partial = file.with_name(f".{file.name}")  # Ollama's own list leaves out what begins with a dot
        partial.write_bytes(content)
        os.chown(partial, owner.st_uid, owner.st_gid)
        partial.chmod(0o644)
        partial.replace(file)

    def unload(self, model: Model, content: bytes) -> None:
        """Have every Ollama end a model's process once its last answer has ended.

        The process goes by its weights, and its name leads elsewhere by now: for this moment another name leads there.
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
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ANSWER_SECONDS) as response:
                response.read()
        except urllib.error.HTTPError as error:
            raise Problem(f"{address} answered {error.code}: {error.read(200).decode(errors='replace')}") from error
        except OSError as error:
            raise Problem(f"{address} does not answer: {error}") from error

    def keep(self, served: Mapping[str, Any]) -> None:
        """From now on the health service, the figures and every start of Ollama go by this set."""
        write(Path(self._settings.set_file), json.dumps(served, indent=2) + "\n")

    def tell_gateway(self, names: Mapping[str, str]) -> None:
        """Give the gateway its names while it runs, and for its next start. A reload would forget who holds a slot."""
        file = Path(self._settings.gateway_names)
        head = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        write(file, "\n".join([*head, *(f"{key} {name}" for key, name in names.items())]) + "\n")
        commands = [f"clear map {file}", *(f"add map {file} {key} {name}" for key, name in names.items())]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(5)
                connection.connect(self._settings.gateway_socket)
                connection.sendall("; ".join(commands).encode() + b"\n")
                answer = b""
                while block := connection.recv(65536):
                    answer += block
        except OSError as error:
            raise Problem(f"The gateway does not answer on {self._settings.gateway_socket}: {error}") from error
        if said := answer.decode(errors="replace").strip():
            raise Problem(f"The gateway refused its models' names: {said}")


def follow(host: Host) -> list[Model]:
    """Serve what is wanted; returns it. Raises Problem, and then the host serves what it served before."""
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
    """Copy and load what is new. Where that fails, nothing of it stays: Ollama would load it at the first request."""
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


def write(file: Path, text: str) -> None:
    """A file whole or not at all, readable by every service of this host."""
    partial = file.with_name(f".{file.name}.new")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o644)
    partial.replace(file)


def tell(state: Path, line: str) -> None:
    """A line for the journal, unless the last run said the same."""
    told = state / "told"
    if not told.is_file() or told.read_text(encoding="utf-8") != line:
        print(f"ollama-gpu-model-set: {line}", flush=True)
        write(told, line)


@contextlib.contextmanager
def unless_booting(lock: str) -> Iterator[bool]:
    """Whether no boot is at work, which brings the set itself; none begins before this has ended."""
    file = Path(lock)
    if not file.parent.is_dir():  # this host was never booted by the boot program
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
