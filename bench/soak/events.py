"""Actions of the schedule's events on the lab. Each returns when the lab has recovered."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

from bench.soak.people import People
from tests.fabric import checkout
from tests.fabric.driver import Driver
from tests.serving import fleet
from tests.serving.conftest import Serving
from tests.serving.fleet import ROTATION_SECONDS, WHOLE_SECONDS

BACK_SECONDS = 150
"""Time for a killed process to serve again on this machine's two processors; docs/faults.md measured up to 29 s."""

DEPLOY_SECONDS = 1500
VARIABLES = Path("terraform/environments/local.tfvars")


@dataclass
class Scene:
    """The lab, its users, and the release that must serve at the end. ``folder`` holds the files of the run."""

    serving: Serving
    people: People
    release: int
    folder: Path
    elsewhere: bool = False  # another release serves, or may serve
    _victim: str = ""

    @property
    def victim(self) -> str:
        """The instance that events hit: the same one as long as it lives, so that the others stay untouched."""
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
    serving.run(instance, "systemctl", "reset-failed", unit)  # systemd gives up after five deaths in an hour


def open_webui_killed(scene: Scene) -> None:
    serving, instance = scene.serving, scene.victim
    inspect = ("docker", "inspect", "--format", "{{.Id}}", "open-webui-8081")
    before = serving.run(instance, *inspect)
    serving.run(instance, "docker", "kill", "open-webui-8081")
    fleet.until(
        lambda: (
            serving.try_run(instance, *inspect) not in ("", before) and fleet.open_webui_is_ready(serving, instance)
        ),
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
    fleet.until(lambda: instance not in serving.healthy(), f"removal of {instance} from the rotation", ROTATION_SECONDS)
    fleet.until(lambda: instance not in serving.instances() and fleet.whole(serving), "replacement", WHOLE_SECONDS)


def refresh(scene: Scene) -> None:
    """Deploy a release with other user data: the driver applies it and rolls every instance to it."""
    with separate_checkout(scene) as driver:
        change_user_data(driver.tree)
        scene.elsewhere = True
        _expect_roll(scene, lambda: deployed(driver, scene.folder / "refresh.log", "deploy", "--env", "local", "--yes"))


def rollback(scene: Scene) -> None:
    driver, log = scene.serving.driver, scene.folder / "rollback.log"
    _expect_roll(scene, lambda: deployed(driver, log, "rollback", str(scene.release), "--env", "local", "--yes"))
    scene.elsewhere = False


def _expect_roll(scene: Scene, bring: Callable[[], None]) -> None:
    before = set(scene.serving.instances())
    bring()
    fleet.until(lambda: fleet.whole(scene.serving), "whole fleet", WHOLE_SECONDS)
    kept = before & set(scene.serving.instances())
    assert not kept, f"not replaced: {', '.join(sorted(kept))}"


@contextmanager
def separate_checkout(scene: Scene) -> Iterator[Driver]:
    """The same environment, deployed from a copy of this checkout that may be changed."""
    tree = scene.folder / "checkout"
    shutil.rmtree(tree, ignore_errors=True)
    checkout.make(tree, scene.serving.context.paths.repository)
    try:
        yield Driver(scene.serving.driver.work, scene.serving.driver.variables, tree)
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def change_user_data(tree: Path) -> None:
    """Change a checkout's user data in a way that has no visible effect."""
    variables = tree / VARIABLES
    variables.write_text(changed(variables.read_text()))


def changed(variables: str) -> str:
    """Return the environment's variables with another drain time of the interactive fleet, part of the user data."""
    found, count = re.subn(
        r"(drain_seconds\s*=\s*)(\d+)", lambda given: f"{given[1]}{int(given[2]) - 1}", variables, count=1
    )
    if count:
        return found
    found, count = re.subn(r"(interactive\s*=\s*\{)", r"\1\n    drain_seconds = 97", variables, count=1)
    assert count, f"{VARIABLES} has no interactive fleet"
    return found


def deployed(driver: Driver, log: Path, *command: str) -> None:
    """Run a command of the driver to its end. Raises AssertionError with the end of its output if it fails."""
    status, output = run_driver(driver, log, *command)
    assert status == 0, f"{command[0]} failed, full log in {log}: {output[-600:]}"


def run_driver(driver: Driver, log: Path, *command: str) -> tuple[int, str]:
    """Run a command of the driver to its end and return its exit status and output. AssertionError on a timeout.

    Passes Ctrl-C on and waits: a killed driver would leave the state locked.
    """
    process = driver.start(*command)
    output = ""
    try:
        _, output = process.communicate(timeout=DEPLOY_SECONDS)
    except (KeyboardInterrupt, TimeoutExpired) as cause:
        process.send_signal(signal.SIGINT)
        _, output = process.communicate()
        if isinstance(cause, KeyboardInterrupt):
            raise
        raise AssertionError(f"{command[0]} took longer than {DEPLOY_SECONDS} s, full log in {log}") from cause
    finally:
        log.write_text(output)
    return process.returncode, output


ACTIONS: Mapping[str, Callable[[Scene], None]] = {
    "ollama-killed": ollama_killed,
    "gateway-killed": gateway_killed,
    "open-webui-killed": open_webui_killed,
    "redis-killed": redis_killed,
    "instance-killed": instance_killed,
    "refresh": refresh,
    "rollback": rollback,
}
