"""The follower: ``python -m ollama_gpu.lab.follow --env local``. What the embedded AWS says is what runs.

Nothing is remembered from one round to the next but what AWS and Docker say, so it can end and begin at any time. A
part that fails is said once in the log and tried again in the next round; the others go on.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from urllib.parse import urlsplit

from ollama_gpu.context import Context, embedded_aws, open_context
from ollama_gpu.errors import UserError
from ollama_gpu.progress import NoProgress

from . import agent, data, front_door, handles, handover, instances, mirror, names, places, stores, vault
from .docker import Docker
from .forward import Forward
from .front_door import metrics
from .plane import Plane

EVERY_SECONDS = 2.0
STORES_SECONDS = 15.0  # between two looks at stores that run: a secret may have been changed
METRICS_SECONDS = 60.0  # as Elastic Load Balancing
LOST_ROUNDS = 5
"""Rounds without an answer of the embedded AWS after which it has ended, and the follower with it."""

log = logging.getLogger("lab")


def main(arguments: list[str] | None = None) -> None:
    """Follow until SIGTERM or the embedded AWS's end; exits 1 with one line when it cannot begin."""
    parser = argparse.ArgumentParser(prog="python -m ollama_gpu.lab.follow")
    parser.add_argument("--env", default="local", help="the environment whose world this is")
    parsed = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    ending = threading.Event()

    def leave(_signal: int, _frame: FrameType | None) -> None:
        ending.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    try:
        plane = Plane(open_context(parsed.env))
        with plane.follower.living():
            follow(plane, Docker(), ending)
    except UserError as error:
        sys.exit(f"{error.message} {error.remedy}")


def follow(plane: Plane, docker: Docker, ending: threading.Event) -> None:
    """Round after round until ``ending``."""
    network = names.network(names.prefix(plane.context))
    docker.ensure_network(network)
    port = urlsplit(plane.context.aws.endpoint or "").port or 0
    gateway = docker.gateway(network)
    rounds = Round(plane, docker, gateway)
    lost = 0
    with Forward((gateway, port), ("127.0.0.1", port)):
        while not ending.is_set():
            began = time.monotonic()
            lost = 0 if _answers(plane.context) else lost + 1
            if lost >= LOST_ROUNDS:
                log.info("the embedded AWS has ended, and so does its lab")
                return
            if not lost:
                rounds.run()
            ending.wait(max(0.2, EVERY_SECONDS - (time.monotonic() - began)))


class Round:
    """One look at everything."""

    def __init__(self, plane: Plane, docker: Docker, gateway: str) -> None:
        context = plane.context
        made = handover.read(places.locate(context.paths).handover)
        prefix = names.prefix(context)
        self._network = names.network(prefix)
        self._plane = plane
        self._context = context
        self._docker = docker
        self._gateway = gateway
        self._stores_name = f"{prefix}-data"
        self._vault_name = f"{prefix}-vault"
        self._data_image = str(made["lab_data_image"])
        self._door = front_door.FrontDoor(
            name=f"{prefix}-front-door",
            folder=plane.folder / "front-door",
            authority=plane.authority,
            image=front_door.IMAGE.latest,
            docker=docker,
            ports=front_door.ports(),
            network=self._network,
        )
        self._published = time.monotonic()
        self._stores_due = 0.0
        self._said: dict[str, str] = {}  # the failures that the log has already, by part

    def run(self) -> None:
        with self._part("stores"):
            self._stores()
        with self._part("backups"):
            self._backups()
        running: dict[str, str] = {}
        with self._part("instances"):
            running = instances.reconcile(self._context, self._docker, self._gateway)
        for identifier in running:
            with self._part(f"agent of {identifier}"):
                agent.ensure(instances.container(self._context, identifier), self._docker)
        with self._part("front door"):
            self._front_door(running)

    def _stores(self) -> None:
        if time.monotonic() < self._stores_due:
            return
        context = self._context
        self._docker.join(self._network, mirror.NAME, mirror.ALIAS)  # an image that is not baked fetches from it
        wanted = stores.wanted(context.aws, context.contract, context.environment.name)
        if wanted is None:
            return
        aliases = (wanted.database, wanted.cache)
        folder = self._plane.folder / "stores"
        data.start(
            self._stores_name, aliases, wanted.secrets, folder, self._data_image, self._docker, NoProgress(),
            self._network, database=wanted.server, vault=vault.ensure(self._vault_name, self._docker),
            authority=self._plane.authority,
        )  # fmt: skip
        vault.forget(context.aws, self._docker, self._stores_name)
        self._stores_due = time.monotonic() + STORES_SECONDS

    def _backups(self) -> None:
        if self._docker.running(self._stores_name):
            vault.serve(self._context.aws, self._context.aws.endpoint or "", self._docker, self._stores_name)

    def _front_door(self, running: dict[str, str]) -> None:
        context = self._context
        self._door.reconcile(front_door.read(context.aws), running)
        handles.say_target_health(context.aws.endpoint or "", [asdict(each) for each in self._door.health()])
        if time.monotonic() - self._published >= METRICS_SECONDS:
            self._published = time.monotonic()
            for traffic in self._door.metrics():
                context.aws.cloudwatch.put_metric_data(Namespace=metrics.NAMESPACE, MetricData=metrics.data(traffic))

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever it is: the other parts go on
            said = f"{type(error).__name__}: {error}"
            if self._said.get(name) != said:
                log.exception("%s: %s", name, said)
                self._said[name] = said
        else:
            if self._said.pop(name, None):
                log.info("%s: well again", name)


def _answers(context: Context) -> bool:
    return embedded_aws(context.paths, context.environment.region).running() is not None


if __name__ == "__main__":
    main()
