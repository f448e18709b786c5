"""What each event of the schedule does to the lab, and how long it takes until the lab is as before."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

from tests.fabric import checkout
from tests.fabric.driver import Driver
from tests.serving import fleet
from tests.serving.conftest import Serving
from tests.serving.fleet import ROTATION_SECONDS, WHOLE_SECONDS
from tests.soak.people import People

BACK_SECONDS = 150
"""Until a killed process serves again on this machine's two processors: docs/operations.md saw 29 s at most."""

DEPLOY_SECONDS = 1500
VARIABLES = Path("terraform/environments/local.tfvars")


@dataclass
class Scene:
    """The lab, who chats at it, and the release that it is to be on in the end. ``folder`` is for what is made."""

    serving: Serving
    people: People
    release: int
    folder: Path
    elsewhere: bool = False  # another release than that stands, or may stand
    _victim: str = ""

    @property
    def victim(self) -> str:
        """The instance that it happens to: the same one for as long as it lives, so that others stay untouched."""
        healthy = self.serving.healthy()
        if self._victim not in healthy:
            self._victim = healthy[0]
        return self._victim


def ollama_killed(scene: Scene) -> None:
    _service_killed(scene, "ollama@0.service")


def gateway_killed(scene: Scene) -> None:
    _service_killed(scene, "haproxy.service")


def _service_killed(scene: Scene, unit: str) -> None:
    serving, instance = scene.serving, scene.victim
    before = fleet.unit(serving, instance, unit, "MainPID")
    serving.run(instance, "systemctl", "kill", "--signal=KILL", unit)
    fleet.until(lambda: fleet.serves_again(serving, instance, unit, before), f"new {unit}", BACK_SECONDS)
    serving.run(instance, "systemctl", "reset-failed", unit)  # five deaths in an hour are its end, rightly


def open_webui_killed(scene: Scene) -> None:
    serving, instance = scene.serving, scene.victim
    asked = ("docker", "inspect", "--format", "{{.Id}}", "open-webui-8081")
    before = serving.run(instance, *asked)
    serving.run(instance, "docker", "kill", "open-webui-8081")
    fleet.until(
        lambda: serving.said(instance, *asked) not in ("", before) and fleet.open_webui_is_ready(serving, instance),
        "new process of Open WebUI",
        BACK_SECONDS,
    )


def redis_killed(scene: Scene) -> None:
    serving = scene.serving

    def process() -> str:
        return serving.docker.output("exec", serving.stores, "sh", "-c", "pgrep --oldest redis-server || true")

    before = process()
    serving.docker.output("exec", serving.stores, "kill", "-KILL", before)
    fleet.until(lambda: process() not in ("", before), "new Redis", BACK_SECONDS)


def instance_killed(scene: Scene) -> None:
    serving, instance = scene.serving, scene.victim
    serving.docker.output("kill", serving.container(instance))
    fleet.until(lambda: instance not in serving.healthy(), f"end of {instance} in the rotation", ROTATION_SECONDS)
    fleet.until(lambda: instance not in serving.instances() and fleet.whole(serving), "replacement", WHOLE_SECONDS)


def refresh(scene: Scene) -> None:
    """A release that tells instances something else: the driver applies it and rolls every instance to it."""
    with colleague(scene) as driver:
        tell_instances(driver.tree)
        scene.elsewhere = True
        _rolled(scene, lambda: deployed(driver, scene.folder / "refresh.log", "deploy", "--env", "local", "--yes"))


def rollback(scene: Scene) -> None:
    driver, log = scene.serving.driver, scene.folder / "rollback.log"
    _rolled(scene, lambda: deployed(driver, log, "rollback", str(scene.release), "--env", "local", "--yes"))
    scene.elsewhere = False


def _rolled(scene: Scene, bring: Callable[[], None]) -> None:
    before = set(scene.serving.instances())
    bring()
    fleet.until(lambda: fleet.whole(scene.serving), "whole fleet", WHOLE_SECONDS)
    kept = before & set(scene.serving.instances())
    assert not kept, f"not replaced: {', '.join(sorted(kept))}"


@contextmanager
def colleague(scene: Scene) -> Iterator[Driver]:
    """The same environment, deployed from a copy of this checkout, which may be changed."""
    tree = scene.folder / "checkout"
    shutil.rmtree(tree, ignore_errors=True)
    checkout.make(tree, scene.serving.context.paths.repository)
    try:
        yield Driver(scene.serving.driver.work, scene.serving.driver.variables, tree)
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def tell_instances(tree: Path) -> None:
    """Let a checkout tell its instances something else, which changes nothing that anybody notices."""
    variables = tree / VARIABLES
    variables.write_text(changed(variables.read_text()))


def changed(variables: str) -> str:
    """The environment's variables with another drain time of the interactive fleet, which its instances are told."""
    found, count = re.subn(
        r"(drain_seconds\s*=\s*)(\d+)", lambda given: f"{given[1]}{int(given[2]) - 1}", variables, count=1
    )
    if count:
        return found
    found, count = re.subn(r"(interactive\s*=\s*\{)", r"\1\n    drain_seconds = 97", variables, count=1)
    assert count, f"{VARIABLES} has no interactive fleet"
    return found


def deployed(driver: Driver, log: Path, *command: str) -> None:
    """Run a command of the driver to its end; AssertionError with the end of its words when it fails."""
    status, said = ended(driver, log, *command)
    assert status == 0, f"{command[0]} failed, all of it is in {log}: {said[-600:]}"


def ended(driver: Driver, log: Path, *command: str) -> tuple[int, str]:
    """Run a command of the driver to its end: its exit status and what it said. AssertionError when it has none.

    Ctrl-C is handed on and waited for: killed, it would leave the state's lock behind.
    """
    process = driver.start(*command)
    said = ""
    try:
        _, said = process.communicate(timeout=DEPLOY_SECONDS)
    except (KeyboardInterrupt, TimeoutExpired) as cause:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        if isinstance(cause, KeyboardInterrupt):
            raise
        raise AssertionError(f"{command[0]} took longer than {DEPLOY_SECONDS} s, all of it is in {log}") from cause
    finally:
        log.write_text(said)
    return process.returncode, said


ACTIONS: Mapping[str, Callable[[Scene], None]] = {
    "ollama-killed": ollama_killed,
    "gateway-killed": gateway_killed,
    "open-webui-killed": open_webui_killed,
    "redis-killed": redis_killed,
    "instance-killed": instance_killed,
    "refresh": refresh,
    "rollback": rollback,
}
