"""Containers for instances: each round starts the ones that are missing and shuts down those of ended instances.

An instance is two containers: the metadata container serves its metadata and owns the network, and the systemd
container joins that network. The only state in memory is what was written to a metadata service; a new follower writes
it again.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.docker import LABEL, NETWORK, Docker
from ollama_gpu.local.lab.names import AWS_NAME

from . import console, metadata
from .credentials import Credentials
from .docker_data import DockerData
from .view import Instance

INSTANCE_LABEL = f"{LABEL}.instance"
GROUP_LABEL = f"{LABEL}.instances"

END_SECONDS = 60
"""Time that an instance may take to shut down. EC2 allows minutes before it stops the instance by force."""

_PARALLEL = 4
_ERRORS = (UserError, BotoCoreError, ClientError)
_SYSTEMD = (
    "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw", "--cgroupns=host", "--env=container=docker",
    "--stop-signal=SIGRTMIN+3",  # systemd shuts down on it, as a machine does on the power button's ACPI event
)  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """``prefix`` begins the name and the label of every container; ``gateway`` is the address of the name ``aws``.

    ``base_image`` is the image of an instance whose AMI names no container image. ``consoles`` is the folder that keeps
    the output of each instance's user data after the instance is gone, as EC2 keeps its console; None keeps nothing.
    """

    base_image: str
    metadata_image: str
    gateway: str
    prefix: str = "ollama-gpu-local"
    network: str = NETWORK
    consoles: Path | None = None

    def container(self, identifier: str) -> str:
        """Return the name of an instance's container."""
        return f"{self.prefix}-{identifier}"

    def metadata_container(self, identifier: str) -> str:
        """Return the name of the container that serves an instance's metadata."""
        return f"{self.prefix}-{identifier}-metadata"


class Containers:
    """Keeps the containers of an environment in step with its instances."""

    def __init__(self, docker: Docker, settings: Settings, credentials: Credentials) -> None:
        self._docker = docker
        self._settings = settings
        self._credentials = credentials
        self._docker_data = DockerData(docker, settings.prefix)
        self._written: dict[tuple[str, str], tuple[str, dict[str, str]]] = {}
        self._failures: dict[tuple[str, str], str] = {}
        self._ending: dict[str, threading.Thread] = {}

    def reconcile(self, wanted: Sequence[Instance]) -> dict[str, str]:
        """Start and remove containers as needed; return the IPv4 address of each running instance, by instance ID.

        A container that stopped without AWS knowing stays as it is: health checks find it, and its group replaces it.
        When an instance cannot start, the log reports it once, and the next round tries again; the other instances are
        not affected. Raises UserError when the container engine does not answer.
        """
        seen = self._seen()
        present = {instance.identifier for instance in wanted}
        self._forget(present)
        for identifier in seen.keys() - present:
            self._end(identifier, seen[identifier])
        missing = [instance for instance in wanted if instance.identifier not in seen]
        self._each("start", {each.identifier: partial(self._start, each) for each in missing})
        if missing:
            seen = self._seen()
        known = [instance for instance in wanted if instance.identifier in seen]
        updates = {each.identifier: partial(self._update_metadata, each, seen[each.identifier]) for each in known}
        self._each("metadata", updates)
        return {each.identifier: seen[each.identifier].address for each in known if seen[each.identifier].runs}

    def prepare(self, image: str) -> None:
        """Unpack the Docker data of an image in the background, before the first instance needs it."""
        job = partial(self._docker_data.prepare, image)
        threading.Thread(target=self._attempt, args=("image", image, job), name="prepare", daemon=True).start()

    def _seen(self) -> dict[str, _Pair]:
        names = self._docker.output(
            "ps", "--all", "--quiet", "--filter", f"label={GROUP_LABEL}={self._settings.prefix}"
        ).split()
        found = self._inspected(names)
        by_instance: dict[str, list[Any]] = {}
        for container in found:
            by_instance.setdefault(container["Config"]["Labels"][INSTANCE_LABEL], []).append(container)
        return {identifier: _pair(identifier, each, self._settings) for identifier, each in by_instance.items()}

    def _inspected(self, names: Sequence[str]) -> list[Any]:
        if not names:
            return []
        try:
            return list(json.loads(self._docker.output("container", "inspect", *names)))
        except UserError:  # a container was removed in the meantime: inspect them one by one
            return [found for found in map(self._docker.container, names) if found]

    def _start(self, instance: Instance) -> None:
        settings = self._settings
        metadata_name = settings.metadata_container(instance.identifier)
        name = settings.container(instance.identifier)
        labels = (
            f"--label={LABEL}=instance",
            f"--label={GROUP_LABEL}={settings.prefix}",
            f"--label={INSTANCE_LABEL}={instance.identifier}",
        )
        try:
            self._docker.output(
                "run", "--detach", "--name", metadata_name, *labels, f"--network={settings.network}",
                f"--hostname={instance.host_name.split('.', 1)[0]}", f"--add-host={AWS_NAME}:{settings.gateway}",
                "--cap-add=NET_ADMIN", "--tmpfs=/run", settings.metadata_image,
            )  # fmt: skip
            self._update_metadata(instance, _pair(instance.identifier, self._inspected([metadata_name]), settings))
            image = instance.container_image or settings.base_image
            volume = self._docker_data.create(image, instance.identifier)
            self._docker.output(
                "run", "--detach", "--name", name, *labels, f"--network=container:{metadata_name}", *_SYSTEMD,
                f"--volume={volume}:/var/lib/docker",  # overlay2 does not work on an overlay file system
                image, "/sbin/init",
            )  # fmt: skip
        except _ERRORS:
            self._docker.remove(name, metadata_name)
            self._docker_data.remove(instance.identifier)
            raise
        _log.info("instance %s runs as %s", instance.identifier, name)

    def _end(self, identifier: str, pair: _Pair) -> None:
        """Shut an instance down as EC2 does and remove it, in the background: a shutdown takes up to END_SECONDS.

        If the follower ends in the meantime, the next one starts the shutdown again.
        """
        before = self._ending.get(identifier)
        if before is None or not before.is_alive():
            remove = partial(self._remove, identifier, pair)
            self._ending[identifier] = threading.Thread(
                target=self._attempt, args=("removal", identifier, remove), name=f"end {identifier}", daemon=True
            )
            self._ending[identifier].start()

    def _remove(self, identifier: str, pair: _Pair) -> None:
        if pair.runs:
            self._docker.output("stop", f"--time={END_SECONDS}", self._settings.container(identifier))
        if self._settings.consoles is not None:
            console.keep(self._docker, self._settings.container(identifier), self._settings.consoles, identifier)
        self._docker.remove(*pair.names)
        self._docker_data.remove(identifier)
        _log.info("removed %s", " and ".join(pair.names))

    def _update_metadata(self, instance: Instance, pair: _Pair) -> None:
        if not pair.serves_metadata:
            return
        files = {"facts": metadata.facts(instance, pair.address, pair.mac)}
        if instance.role:
            files["credentials"] = metadata.credentials(instance, self._credentials.of(instance))
        for name, paths in files.items():
            key, wanted = (instance.identifier, name), (pair.started_at, paths)
            if self._written.get(key) != wanted:
                metadata.write(self._docker, self._settings.metadata_container(instance.identifier), name, paths)
                self._written[key] = wanted

    def _each(self, what: str, jobs: Mapping[str, Callable[[], None]]) -> None:
        """Run the jobs in parallel."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(lambda identifier: self._attempt(what, identifier, jobs[identifier]), sorted(jobs)))

    def _attempt(self, what: str, identifier: str, job: Callable[[], object]) -> None:
        """Run a job. Log a failure once, and again when its cause changes."""
        try:
            job()
            self._failures.pop((what, identifier), None)
        except _ERRORS as error:
            failure = error.message if isinstance(error, UserError) else str(error)
            if self._failures.get((what, identifier)) != failure:
                _log.error("%s of instance %s: %s", what, identifier, failure)
                self._failures[what, identifier] = failure

    def _forget(self, present: Collection[str]) -> None:
        self._ending = {identifier: ending for identifier, ending in self._ending.items() if ending.is_alive()}
        self._credentials.forget(present)
        self._written = {key: value for key, value in self._written.items() if key[0] in present}


@dataclass(frozen=True)
class _Pair:
    """The two containers of an instance, which share the addresses.

    ``started_at`` is the start of the metadata service: what was written to it before is lost.
    """

    names: list[str]
    runs: bool
    serves_metadata: bool
    address: str
    mac: str
    started_at: str


def _pair(identifier: str, found: Sequence[Any], settings: Settings) -> _Pair:
    by_name = {container["Name"].removeprefix("/"): container for container in found}
    running = {name for name, container in by_name.items() if container["State"]["Running"]}
    metadata_name = settings.metadata_container(identifier)
    if metadata_name not in running:
        # Without its metadata container, an instance has no network, even if its processes are alive.
        return _Pair(sorted(by_name), runs=False, serves_metadata=False, address="", mac="", started_at="")
    joined = by_name[metadata_name]["NetworkSettings"]["Networks"].get(settings.network, {})
    return _Pair(
        sorted(by_name),
        runs=settings.container(identifier) in running,
        serves_metadata=True,
        address=joined.get("IPAddress", ""),
        mac=joined.get("MacAddress", ""),
        started_at=by_name[metadata_name]["State"]["StartedAt"],
    )
