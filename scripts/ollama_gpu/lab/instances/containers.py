"""Containers for instances: those that should run are started, those that are gone are shut down, each look anew.

An instance is two containers: one that serves its metadata and owns the network, and the systemd container that joins
that network. Nothing is remembered but what has been written to a metadata service; a new follower writes it again.
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

from ollama_gpu.errors import UserError
from ollama_gpu.lab.docker import LABEL, NETWORK, Docker
from ollama_gpu.lab.names import AWS_NAME

from . import console, metadata
from .credentials import Credentials
from .view import Instance

INSTANCE_LABEL = f"{LABEL}.instance"
GROUP_LABEL = f"{LABEL}.instances"

END_SECONDS = 60
"""How long an instance may take to shut down; EC2 gives it minutes, and then takes the power away as well."""

_AT_ONCE = 4
_ERRORS = (UserError, BotoCoreError, ClientError)
_SYSTEMD = (
    "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw", "--cgroupns=host", "--env=container=docker",
    "--stop-signal=SIGRTMIN+3",  # to systemd what the power button's ACPI event is
    "--volume=/var/lib/docker",  # Docker inside: its overlay2 needs a file system that is no overlay
)  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """``prefix`` starts every container's name and marks what is ours; ``gateway`` is where ``aws`` leads to.

    ``base_image`` is what an instance is whose AMI names no container image. ``consoles`` is a folder that keeps what
    each instance's user data printed after the instance is gone, as EC2 keeps its console; None keeps nothing.
    """

    base_image: str
    metadata_image: str
    gateway: str
    prefix: str = "ollama-gpu-local"
    network: str = NETWORK
    consoles: Path | None = None

    def container(self, identifier: str) -> str:
        """The name of an instance's container."""
        return f"{self.prefix}-{identifier}"

    def metadata_container(self, identifier: str) -> str:
        """The name of the container that serves its metadata."""
        return f"{self.prefix}-{identifier}-metadata"


class Containers:
    """Keeps the containers of one environment as its instances are."""

    def __init__(self, docker: Docker, settings: Settings, credentials: Credentials) -> None:
        self._docker = docker
        self._settings = settings
        self._credentials = credentials
        self._written: dict[tuple[str, str], tuple[str, dict[str, str]]] = {}
        self._complaints: dict[tuple[str, str], str] = {}
        self._ending: dict[str, threading.Thread] = {}

    def reconcile(self, wanted: Sequence[Instance]) -> dict[str, str]:
        """Make it so, and return the IPv4 address of each instance whose container runs, by instance id.

        A container that stopped without AWS knowing is left as it is: that is for health checks to find and for the
        group to replace. An instance that cannot be started is complained of in the log and tried again at the next
        look; the others go on. Raises UserError when the container engine does not answer.
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
        self._each("metadata", {each.identifier: partial(self._tell, each, seen[each.identifier]) for each in known})
        return {each.identifier: seen[each.identifier].address for each in known if seen[each.identifier].runs}

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
        except UserError:  # one was removed in between: ask one by one
            return [found for found in map(self._docker.container, names) if found]

    def _start(self, instance: Instance) -> None:
        settings = self._settings
        keeper, name = settings.metadata_container(instance.identifier), settings.container(instance.identifier)
        labels = (
            f"--label={LABEL}=instance",
            f"--label={GROUP_LABEL}={settings.prefix}",
            f"--label={INSTANCE_LABEL}={instance.identifier}",
        )
        try:
            self._docker.output(
                "run", "--detach", "--name", keeper, *labels, f"--network={settings.network}",
                f"--hostname={instance.host_name.split('.', 1)[0]}", f"--add-host={AWS_NAME}:{settings.gateway}",
                "--cap-add=NET_ADMIN", "--tmpfs=/run", settings.metadata_image,
            )  # fmt: skip
            self._tell(instance, _pair(instance.identifier, self._inspected([keeper]), settings))
            self._docker.output(
                "run", "--detach", "--name", name, *labels, f"--network=container:{keeper}", *_SYSTEMD,
                instance.container_image or settings.base_image, "/sbin/init",
            )  # fmt: skip
        except _ERRORS:
            self._docker.remove(name, keeper)
            raise
        _log.info("instance %s runs as %s", instance.identifier, name)

    def _end(self, identifier: str, pair: _Pair) -> None:
        """Shut an instance down as EC2 does and then remove it, beside the looks: a shutdown takes up to END_SECONDS.

        A follower that ends meanwhile leaves it to the next one, which begins anew.
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
        _log.info("removed %s", " and ".join(pair.names))

    def _tell(self, instance: Instance, pair: _Pair) -> None:
        """Bring a metadata service up to date."""
        if not pair.answers:
            return
        said = {"facts": metadata.facts(instance, pair.address, pair.mac)}
        if instance.role:
            said["credentials"] = metadata.credentials(instance, self._credentials.of(instance))
        for name, paths in said.items():
            key, wanted = (instance.identifier, name), (pair.began, paths)
            if self._written.get(key) != wanted:
                metadata.write(self._docker, self._settings.metadata_container(instance.identifier), name, paths)
                self._written[key] = wanted

    def _each(self, what: str, jobs: Mapping[str, Callable[[], None]]) -> None:
        """Several at once."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda identifier: self._attempt(what, identifier, jobs[identifier]), sorted(jobs)))

    def _attempt(self, what: str, identifier: str, job: Callable[[], None]) -> None:
        """What fails is complained of once, and again when it fails in another way."""
        try:
            job()
            self._complaints.pop((what, identifier), None)
        except _ERRORS as error:
            complaint = error.message if isinstance(error, UserError) else str(error)
            if self._complaints.get((what, identifier)) != complaint:
                _log.error("%s of instance %s: %s", what, identifier, complaint)
                self._complaints[what, identifier] = complaint

    def _forget(self, present: Collection[str]) -> None:
        self._ending = {identifier: ending for identifier, ending in self._ending.items() if ending.is_alive()}
        self._credentials.forget(present)
        self._written = {key: value for key, value in self._written.items() if key[0] in present}


@dataclass(frozen=True)
class _Pair:
    """What there is of an instance: ``runs`` the instance, ``answers`` its metadata; the addresses are of both.

    ``began`` is when the metadata service did: what had been written to it before is gone.
    """

    names: list[str]
    runs: bool
    answers: bool
    address: str
    mac: str
    began: str


def _pair(identifier: str, found: Sequence[Any], settings: Settings) -> _Pair:
    by_name = {container["Name"].removeprefix("/"): container for container in found}
    running = {name for name, container in by_name.items() if container["State"]["Running"]}
    keeper = settings.metadata_container(identifier)
    answers = keeper in running
    # Without its keeper an instance has no network any more, though its processes live.
    runs = answers and settings.container(identifier) in running
    joined = by_name[keeper]["NetworkSettings"]["Networks"].get(settings.network, {}) if answers else {}
    began = by_name[keeper]["State"]["StartedAt"] if answers else ""
    return _Pair(sorted(by_name), runs, answers, joined.get("IPAddress", ""), joined.get("MacAddress", ""), began)
