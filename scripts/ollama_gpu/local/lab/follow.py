"""The follower, which runs what the embedded AWS describes: ``python -m ollama_gpu.local.lab.follow --env local``.

Each round starts from the state of AWS and Docker, so the follower can stop and start at any time. When a part fails,
the log reports it once, and the next round tries it again; the other parts are not affected.
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

from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context, embedded_aws, open_context
from ollama_gpu.terraform.progress import NoProgress

from . import (
    agent,
    control_client,
    data,
    database_backups,
    front_door,
    instances,
    locations,
    mirror,
    names,
    stores,
    variables_file,
)
from .docker import Docker
from .forward import Forward
from .front_door import metrics
from .lab import Lab

EVERY_SECONDS = 2.0
STORES_SECONDS = 15.0  # between two checks of running stores: a secret may have changed
METRICS_SECONDS = 60.0  # as Elastic Load Balancing
LOST_ROUNDS = 5
"""Number of rounds without an answer of the embedded AWS after which the follower ends, too."""

log = logging.getLogger("lab")


def main(arguments: list[str] | None = None) -> None:
    """Follow until SIGTERM or the end of the embedded AWS. Exit with status 1 and one line when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m ollama_gpu.local.lab.follow")
    parser.add_argument("--env", default="local", help="the environment to follow")
    parsed = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    ending = threading.Event()

    def leave(_signal: int, _frame: FrameType | None) -> None:
        ending.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    try:
        lab = Lab(open_context(parsed.env))
        lab.follower.started()
        follow(lab, Docker(), ending)
    except UserError as error:
        sys.exit(f"{error.message} {error.remedy}")


def follow(lab: Lab, docker: Docker, ending: threading.Event) -> None:
    """Run rounds until ``ending`` is set or the embedded AWS has ended."""
    network = names.network(names.prefix(lab.context))
    docker.ensure_network(network)
    port = urlsplit(lab.context.aws.endpoint or "").port or 0
    gateway = docker.gateway(network)
    rounds = Round(lab, docker, gateway)
    lost = 0
    with Forward((gateway, port), ("127.0.0.1", port)):
        while not ending.is_set():
            began = time.monotonic()
            lost = 0 if _answers(lab.context) else lost + 1
            if lost >= LOST_ROUNDS:
                log.info("the embedded AWS has ended, so the follower ends")
                return
            if not lost:
                rounds.run()
            ending.wait(max(0.2, EVERY_SECONDS - (time.monotonic() - began)))


class Round:
    """One round: reconciles stores, backups, instances, agents and the front door."""

    def __init__(self, lab: Lab, docker: Docker, gateway: str) -> None:
        context = lab.context
        variables = variables_file.read(locations.locate(context.paths).variables_file)
        prefix = names.prefix(context)
        self._network = names.network(prefix)
        self._lab = lab
        self._context = context
        self._docker = docker
        self._gateway = gateway
        self._stores_name = f"{prefix}-data"
        self._vault_name = f"{prefix}-vault"
        self._data_image = str(variables["lab_data_image"])
        self._front_door = front_door.FrontDoor(
            name=f"{prefix}-front-door",
            folder=lab.folder / "front-door",
            authority=lab.authority,
            image=front_door.IMAGE.latest,
            docker=docker,
            ports=front_door.ports(),
            network=self._network,
        )
        self._published = time.monotonic()
        self._next_stores_check = 0.0
        self._failures: dict[str, str] = {}  # by part; the log has them already

    def run(self) -> None:
        with self._part("stores"):
            self._reconcile_stores()
        with self._part("backups"):
            self._run_backup_jobs()
        running: dict[str, str] = {}
        with self._part("instances"):
            running = instances.reconcile(self._context, self._docker, self._gateway)
        for identifier in running:
            with self._part(f"agent of {identifier}"):
                agent.ensure(instances.container(self._context, identifier), self._docker)
        with self._part("front door"):
            self._reconcile_front_door(running)

    def _reconcile_stores(self) -> None:
        if time.monotonic() < self._next_stores_check:
            return
        context = self._context
        self._docker.join(self._network, mirror.NAME, mirror.ALIAS)  # instances of a stock image download from it
        wanted = stores.wanted(context.aws, context.contract, context.environment.name)
        if wanted is None:
            return
        aliases = (wanted.database, wanted.cache)
        folder = self._lab.folder / "stores"
        data.start(
            self._stores_name, aliases, wanted.secrets, folder, self._data_image, self._docker, NoProgress(),
            self._network, database=wanted.server, vault=database_backups.ensure(self._vault_name, self._docker),
            authority=self._lab.authority,
        )  # fmt: skip
        database_backups.remove_orphans(context.aws, self._docker, self._stores_name)
        self._next_stores_check = time.monotonic() + STORES_SECONDS

    def _run_backup_jobs(self) -> None:
        if self._docker.running(self._stores_name):
            database_backups.run_jobs(
                self._context.aws, self._context.aws.endpoint or "", self._docker, self._stores_name
            )

    def _reconcile_front_door(self, running: dict[str, str]) -> None:
        context = self._context
        self._front_door.reconcile(front_door.read(context.aws), running)
        health = [asdict(each) for each in self._front_door.health()]
        control_client.report_target_health(context.aws.endpoint or "", health)
        if time.monotonic() - self._published >= METRICS_SECONDS:
            self._published = time.monotonic()
            for traffic in self._front_door.metrics():
                context.aws.cloudwatch.put_metric_data(Namespace=metrics.NAMESPACE, MetricData=metrics.data(traffic))

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # any failure, so that the other parts continue
            failure = f"{type(error).__name__}: {error}"
            if self._failures.get(name) != failure:
                log.exception("%s: %s", name, failure)
                self._failures[name] = failure
        else:
            if self._failures.pop(name, None):
                log.info("%s: recovered", name)


def _answers(context: Context) -> bool:
    return embedded_aws(context.paths, context.environment.region).running() is not None


if __name__ == "__main__":
    main()
