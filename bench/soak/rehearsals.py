"""Releases that must not serve: a bad variable, image or Terraform change, a failing migration, one under an alarm.

Each is deployed while users chat. The deploy must fail by itself and leave the previous instances in place, and the
rollback must bring the scene's release back without touching any of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.soak import events
from bench.soak.events import Scene
from ollama_gpu.bake import engine
from ollama_gpu.core.aws import parameter
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment import images
from ollama_gpu.environment.images import Image
from tests.fabric import checkout
from tests.fabric.driver import Driver
from tests.serving import fleet
from tests.serving.conftest import Serving
from tests.serving.fleet import WHOLE_SECONDS

TAKEN_BACK = "all instances run the previous version"
"""The driver's message for a rollout that was rolled back successfully."""

ENDING_SECONDS = 180
"""Time until the containers of abandoned instances are gone: a shutdown takes up to a minute, and there are two."""

GPU_DEMANDED = (
    "merge(var.instance.variables, {",
    "merge(var.instance.variables, { ollama_require_gpu = true }, {",
)
OLLAMA = "/opt/ollama/current/bin/ollama"
BEFORE_TABLE_APP = "b8f2c6d91a04"
"""The revision of Open WebUI 0.12's schema before the one that creates the table app."""

BAD_RESOURCE = (
    'resource "aws_iam_role_policy_attachment" "bad" {\n'
    '  role       = "nobody-has-this-role"\n'
    '  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"\n'
    "}\n"
)


@dataclass(frozen=True)
class FleetState:
    """Current state: the newest deployed release's number, each member's template version, the last refresh's id."""

    release: int
    versions: Mapping[str, str]
    refresh: str

    @classmethod
    def of(cls, serving: Serving) -> FleetState:
        versions = {
            each["InstanceId"]: each["LaunchTemplate"]["Version"]
            for each in serving.fleet()["Instances"]
            if not each["LifecycleState"].startswith("Terminating")
        }
        number = next(each["number"] for each in _releases(serving.driver) if each["outcome"] == "deployed")
        return cls(number, versions, str(_last_refresh(serving).get("InstanceRefreshId", "")))


def bad_variable(scene: Scene) -> None:
    """Require a GPU on every instance. The lab has none, so each instance gives up at boot.

    Set through Terraform, as a group_vars variable reaches instances on AWS. Here, group_vars would produce another
    image, and its bake would refuse this machine before anything was deployed.
    """
    with events.separate_checkout(scene) as driver:
        checkout.change(driver.tree, "terraform/locals.tf", *GPU_DEMANDED)
        _rehearse(scene, "bad-variable", partial(_deploy, driver), TAKEN_BACK, "NVIDIA GPUs")


def bad_image(scene: Scene) -> None:
    """Publish an image without Ollama's program: no instance of it loads a model."""
    with broken_image(scene.serving):
        deploy = partial(_deploy, scene.serving.driver)
        _rehearse(scene, "bad-image", deploy, TAKEN_BACK, "Ollama do not serve")


def bad_terraform(scene: Scene) -> None:
    """Break an apply half-way: instances would get other user data, but no rollout starts."""
    with events.separate_checkout(scene) as driver:
        events.change_user_data(driver.tree)
        (driver.tree / "terraform" / "bad.tf").write_text(BAD_RESOURCE)
        before = FleetState.of(scene.serving)
        _rehearse(scene, "bad-terraform", partial(_deploy, driver), "nobody-has-this-role")
        assert FleetState.of(scene.serving).refresh == before.refresh, "a rollout was started"


def failed_migration(scene: Scene) -> None:
    """Fail Open WebUI's migration on the first instance of the release; the previous processes continue to serve."""
    with events.separate_checkout(scene) as driver, older_schema(scene.serving):
        events.change_user_data(driver.tree)
        _rehearse(scene, "failed-migration", partial(_deploy, driver), TAKEN_BACK, "not migrated")


def alarm(scene: Scene) -> None:
    """Deploy a release that serves, but an alarm fires once half of the fleet has it: the old version comes back."""
    with events.separate_checkout(scene) as driver:
        events.change_user_data(driver.tree)
        deploy = partial(_deploy_until_alarm_fires, scene.serving, driver)
        _rehearse(scene, "alarm", deploy, TAKEN_BACK, "is in ALARM state", replaced=True)


Deploy = Callable[[Scene, str], tuple[int, str]]
"""Deploys, and returns the exit status and output. The string names the log."""


def _deploy(driver: Driver, scene: Scene, name: str) -> tuple[int, str]:
    return events.run_driver(driver, scene.folder / f"{name}.log", "deploy", "--env", "local", "--yes")


def _deploy_until_alarm_fires(serving: Serving, driver: Driver, scene: Scene, name: str) -> tuple[int, str]:
    leave = threading.Event()
    aws = serving.context.aws
    _ = aws.autoscaling, aws.cloudwatch  # boto3 makes clients in one thread only
    with ThreadPoolExecutor(1) as pool:
        firing = pool.submit(_fire_alarm, serving, _last_refresh(serving).get("InstanceRefreshId"), leave)
        try:
            status, output = _deploy(driver, scene, name)
        finally:
            leave.set()
            if fired := firing.result():
                aws.cloudwatch.set_alarm_state(AlarmName=fired, StateValue="OK", StateReason="the rehearsal is over")
    assert fired, f"no alarm was fired: no instance of the new release served during the deploy: {output[-600:]}"
    assert fired in output, f"{fired} fired, and the deploy did not report it: {output[-600:]}"
    return status, output


def _fire_alarm(serving: Serving, before: str | None, leave: threading.Event) -> str:
    """Fire a watched alarm when an instance of a refresh other than ``before`` serves; returns its name or ""."""
    while not leave.wait(1):
        refresh = _last_refresh(serving)
        if refresh.get("InstanceRefreshId") in (None, before):
            continue
        template = refresh["DesiredConfiguration"]["MixedInstancesPolicy"]["LaunchTemplate"]
        version = template["LaunchTemplateSpecification"]["Version"]
        members = serving.fleet()["Instances"]
        new = [each for each in members if each["LaunchTemplate"]["Version"] == version]
        if any(each["LifecycleState"] == "InService" for each in new):
            name: str = refresh["Preferences"]["AlarmSpecification"]["Alarms"][0]
            serving.context.aws.cloudwatch.set_alarm_state(
                AlarmName=name, StateValue="ALARM", StateReason="a rehearsal of a release that fires it"
            )
            return name
    return ""


def _rehearse(scene: Scene, name: str, deploy: Deploy, *words: str, replaced: bool = False) -> None:
    """Deploy a release that must fail with these words, check that nothing else changed, and roll back.

    ``replaced``: instances of the new release served, so that new instances of the old version have replaced them.
    """
    serving = scene.serving
    before = FleetState.of(serving)
    with _rolled_back_afterwards(scene, name):
        status, output = deploy(scene, name)
        assert status == 1, f"exit status {status} of a deploy that had to fail: {output[-600:]}"
        assert "Traceback" not in output, output[-2000:]
        assert words[0] in output, f"the output lacks {words[0]!r}: {output[-600:]}"
        newest = _releases(serving.driver)[0]
        assert (newest["outcome"], newest["number"] > before.release) == ("failed", True), newest
        for word in words:
            assert word in newest["cause"], f"{word} is not in the recorded cause: {newest['cause']}"
        fleet.until(lambda: fleet.whole(serving), "whole fleet", WHOLE_SECONDS)
        after = FleetState.of(serving)
        assert after.release == before.release, f"release {after.release} is deployed"
        _require_same(before, after, replaced)
    back = FleetState.of(serving)
    _require_same(after, back, replaced=False)  # this release already serves: the rollback replaces no instance
    _require_rolled_back(scene, newest["number"])


@contextmanager
def _rolled_back_afterwards(scene: Scene, name: str) -> Iterator[None]:
    """Roll the lab back to its release even if the block fails; after Ctrl-C the report says how to."""
    scene.elsewhere = True
    try:
        yield
    except (AssertionError, UserError) as trouble:
        try:
            _roll_back(scene, name)
        except (AssertionError, UserError) as another:
            raise AssertionError(f"{trouble}\nand the rollback failed: {another}") from trouble
        raise
    _roll_back(scene, name)


def _roll_back(scene: Scene, name: str) -> None:
    log = scene.folder / f"{name}-rollback.log"
    events.deployed(scene.serving.driver, log, "rollback", str(scene.release), "--env", "local", "--yes")
    fleet.until(lambda: fleet.whole(scene.serving), "whole fleet", WHOLE_SECONDS)
    scene.elsewhere = False


def _require_same(before: FleetState, after: FleetState, replaced: bool) -> None:
    """Raise AssertionError if other instances serve; with ``replaced``, only if their versions or number differ."""
    if replaced:
        assert sorted(after.versions.values()) == sorted(before.versions.values()), (before.versions, after.versions)
    else:
        assert after.versions == before.versions, (before.versions, after.versions)


def _require_rolled_back(scene: Scene, failed: int) -> None:
    """Raise AssertionError unless the newest record is the scene's release again, with its image as the current one.

    ``failed`` is the number of the record that must stay failed.
    """
    context = scene.serving.context
    found = {each["number"]: each for each in _releases(scene.serving.driver)}
    newest, wanted = found[max(found)], found[scene.release]
    assert (newest["outcome"], newest["reapplies"]) == ("deployed", scene.release), newest
    assert found[failed]["outcome"] == "failed", found[failed]
    named = parameter(context.aws, context.contract.parameter("image", context.environment.name))
    assert named == wanted["image"] == newest["image"], f"the parameter names the image {named}"


@contextmanager
def older_schema(serving: Serving) -> Iterator[None]:
    """Mark the database as having an older schema than it has, so that a migration creates tables that exist."""
    marked = "update alembic_version set version_num = :'revision'"
    newest = fleet.query(serving, "select version_num from alembic_version")
    fleet.query(serving, marked, revision=BEFORE_TABLE_APP)
    try:
        yield
    finally:
        fleet.query(serving, marked, revision=newest)


@contextmanager
def broken_image(serving: Serving) -> Iterator[str]:
    """Publish the current image without Ollama's program. Both changes are undone at the end.

    The broken image has the key of the good one, as after `make bake FORCE=1`: a deploy uses the newest image with its
    content's key, and would replace an image with another key before anything starts from it.
    """
    context, environment = serving.context, serving.context.environment.name
    published = parameter(context.aws, context.contract.parameter("image", environment))
    good = _baked(serving, str(published))
    container = f"{engine.REPOSITORY}:{good.key}-rehearsal"
    made = _without_ollama(serving, good, container)
    try:
        images.publish(context, made)
        yield made
    finally:
        images.publish(context, good.identifier)
        images.deregister(context.aws, _baked(serving, made))
        fleet.until(lambda: engine.remove_image(container), f"end of every container of {container}", ENDING_SECONDS)


def _without_ollama(serving: Serving, good: Image, container: str) -> str:
    """Commit the broken image under this name and register it as the bake does. Returns its id."""
    docker, builder = serving.docker, f"ollama-gpu-rehearsal-{good.key}"
    docker.remove(builder)  # left by a run that was killed
    try:
        docker.output("run", f"--name={builder}", "--network=none", good.container, "rm", OLLAMA)
        docker.output("commit", builder, container)
    finally:
        docker.remove(builder)
    context = serving.context
    release = next(each["release"] for each in _releases(serving.driver) if each["outcome"] == "deployed")
    labels = images.tags(context.contract, context.environment.name, release, good.key)
    return images.register_container(context, f"{good.name}-rehearsal", container, labels)


def _baked(serving: Serving, identifier: str) -> Image:
    known = images.baked(serving.context)
    found = next((image for image in known if image.identifier == identifier), None)
    assert found is not None, f"{identifier} is not a baked image"
    return found


def _releases(driver: Driver) -> list[dict[str, Any]]:
    """All records, newest first."""
    listed = driver.run("releases", "--env", "local", "--all", "--json")
    assert listed.status == 0, listed.err
    found: list[dict[str, Any]] = listed.json
    return found


def _last_refresh(serving: Serving) -> dict[str, Any]:
    """The group's newest instance refresh, or an empty dict."""
    answer = serving.context.aws.autoscaling.describe_instance_refreshes(
        AutoScalingGroupName=serving.group, MaxRecords=1
    )
    return dict(next(iter(answer["InstanceRefreshes"]), {}))


ACTIONS: Mapping[str, Callable[[Scene], None]] = {
    "bad-variable": bad_variable,
    "bad-image": bad_image,
    "bad-terraform": bad_terraform,
    "failed-migration": failed_migration,
    "alarm": alarm,
}
