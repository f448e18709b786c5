"""Releases that must not serve: a bad variable, image or Terraform change, a failing migration, one under an alarm.

Each is deployed while people chat. The deploy has to fail by itself and leave the instances of before, and the
rollback has to bring the scene's release back without touching any of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from ollama_gpu import images
from ollama_gpu.aws import parameter
from ollama_gpu.bake import engine
from ollama_gpu.errors import UserError
from ollama_gpu.images import Image
from tests.fabric import checkout
from tests.fabric.driver import Driver
from tests.serving import fleet
from tests.serving.conftest import Serving
from tests.serving.fleet import WHOLE_SECONDS
from tests.soak import events
from tests.soak.events import Scene

TAKEN_BACK = "was taken back; every instance is on the version before"
"""What the driver says of a rollout that went back well."""

ENDING_SECONDS = 180
"""Until the containers of instances that were given up are gone: a shutdown takes up to a minute, two are in a row."""

GPU_DEMANDED = (
    "merge(var.instance.variables, {",
    "merge(var.instance.variables, { ollama_require_gpu = true }, {",
)
OLLAMA = "/opt/ollama/current/bin/ollama"
BEFORE_TABLE_APP = "b8f2c6d91a04"
"""The revision of Open WebUI 0.12's schema before the one that makes the table app."""

BAD_RESOURCE = (
    'resource "aws_iam_role_policy_attachment" "bad" {\n'
    '  role       = "nobody-has-this-role"\n'
    '  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"\n'
    "}\n"
)


@dataclass(frozen=True)
class Standing:
    """What serves: the newest deployed release's number, each member's template version, the last refresh's id."""

    release: int
    versions: Mapping[str, str]
    refresh: str

    @classmethod
    def of(cls, serving: Serving) -> Standing:
        versions = {
            each["InstanceId"]: each["LaunchTemplate"]["Version"]
            for each in serving.fleet()["Instances"]
            if not each["LifecycleState"].startswith("Terminating")
        }
        number = next(each["number"] for each in _releases(serving.driver) if each["outcome"] == "deployed")
        return cls(number, versions, str(_last_refresh(serving).get("InstanceRefreshId", "")))


def bad_variable(scene: Scene) -> None:
    """Every instance is told to demand a GPU, which none has here: each gives up at its boot.

    Told by Terraform, as a variable of group_vars is told on AWS. Here group_vars make another image, and the bake of
    that one would refuse the machine before anything was deployed.
    """
    with events.colleague(scene) as driver:
        checkout.change(driver.tree, "terraform/locals.tf", *GPU_DEMANDED)
        _rehearsed(scene, "bad-variable", partial(_deploy, driver), TAKEN_BACK, "NVIDIA GPUs")


def bad_image(scene: Scene) -> None:
    """The next image was published without Ollama's program: no instance of it loads a model."""
    with broken_image(scene.serving):
        deploy = partial(_deploy, scene.serving.driver)
        _rehearsed(scene, "bad-image", deploy, TAKEN_BACK, "Ollama do not serve")


def bad_terraform(scene: Scene) -> None:
    """An apply that breaks off half-way: instances would be told something else, but nobody asks them to follow."""
    with events.colleague(scene) as driver:
        events.tell_instances(driver.tree)
        (driver.tree / "terraform" / "bad.tf").write_text(BAD_RESOURCE)
        before = Standing.of(scene.serving)
        _rehearsed(scene, "bad-terraform", partial(_deploy, driver), "nobody-has-this-role")
        assert Standing.of(scene.serving).refresh == before.refresh, "a rollout was begun"


def failed_migration(scene: Scene) -> None:
    """Open WebUI's own migration fails at the first instance of the release; the processes of before serve on."""
    with events.colleague(scene) as driver, older_schema(scene.serving):
        events.tell_instances(driver.tree)
        _rehearsed(scene, "failed-migration", partial(_deploy, driver), TAKEN_BACK, "not migrated")


def alarm(scene: Scene) -> None:
    """A release that serves, but an alarm rings once half of the fleet has it: what it has replaced comes back."""
    with events.colleague(scene) as driver:
        events.tell_instances(driver.tree)
        deploy = partial(_deploy_until_it_rings, scene.serving, driver)
        _rehearsed(scene, "alarm", deploy, TAKEN_BACK, "is in ALARM state", replaced=True)


Deploy = Callable[[Scene, str], tuple[int, str]]
"""Deploys and returns exit status and words; the text names its log."""


def _deploy(driver: Driver, scene: Scene, name: str) -> tuple[int, str]:
    return events.ended(driver, scene.folder / f"{name}.log", "deploy", "--env", "local", "--yes")


def _deploy_until_it_rings(serving: Serving, driver: Driver, scene: Scene, name: str) -> tuple[int, str]:
    leave = threading.Event()
    aws = serving.context.aws
    _ = aws.autoscaling, aws.cloudwatch  # boto3 makes clients in one thread only
    with ThreadPoolExecutor(1) as pool:
        rung = pool.submit(_ring, serving, _last_refresh(serving).get("InstanceRefreshId"), leave)
        try:
            status, said = _deploy(driver, scene, name)
        finally:
            leave.set()
            if rang := rung.result():
                aws.cloudwatch.set_alarm_state(AlarmName=rang, StateValue="OK", StateReason="the rehearsal is over")
    assert rang, f"no alarm was rung: no instance of the new release served while it was deployed: {said[-600:]}"
    assert rang in said, f"{rang} rang, and the deploy did not say so: {said[-600:]}"
    return status, said


def _ring(serving: Serving, before: str | None, leave: threading.Event) -> str:
    """Ring a watched alarm when an instance of another refresh than ``before`` serves; its name, or nothing."""
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
                AlarmName=name, StateValue="ALARM", StateReason="a rehearsal of a release that rings it"
            )
            return name
    return ""


def _rehearsed(scene: Scene, name: str, deploy: Deploy, *words: str, replaced: bool = False) -> None:
    """Deploy what must fail with these words, see that nothing followed it, and go back to the scene's release.

    ``replaced``: instances of the new release had served, so that others of the old version have taken their place.
    """
    serving = scene.serving
    before = Standing.of(serving)
    with _back_afterwards(scene, name):
        status, said = deploy(scene, name)
        assert status == 1, f"exit status {status} of a deploy that had to fail: {said[-600:]}"
        assert "Traceback" not in said, said[-2000:]
        assert words[0] in said, f"nobody was told that it {words[0]}: {said[-600:]}"
        newest = _releases(serving.driver)[0]
        assert (newest["outcome"], newest["number"] > before.release) == ("failed", True), newest
        for word in words:
            assert word in newest["cause"], f"{word} is not in the recorded cause: {newest['cause']}"
        fleet.until(lambda: fleet.whole(serving), "whole fleet", WHOLE_SECONDS)
        after = Standing.of(serving)
        assert after.release == before.release, f"release {after.release} stands"
        _require_same(before, after, replaced)
    back = Standing.of(serving)
    _require_same(after, back, replaced=False)  # what stands again needs no instance rolled
    _require_back(scene, newest["number"])


@contextmanager
def _back_afterwards(scene: Scene, name: str) -> Iterator[None]:
    """Whatever goes wrong inside, the lab goes back to its release; after Ctrl-C the report says how to."""
    scene.elsewhere = True
    try:
        yield
    except (AssertionError, UserError) as trouble:
        try:
            _back(scene, name)
        except (AssertionError, UserError) as another:
            raise AssertionError(f"{trouble}\nand going back from there: {another}") from trouble
        raise
    _back(scene, name)


def _back(scene: Scene, name: str) -> None:
    log = scene.folder / f"{name}-rollback.log"
    events.deployed(scene.serving.driver, log, "rollback", str(scene.release), "--env", "local", "--yes")
    fleet.until(lambda: fleet.whole(scene.serving), "whole fleet", WHOLE_SECONDS)
    scene.elsewhere = False


def _require_same(before: Standing, after: Standing, replaced: bool) -> None:
    """Raises AssertionError when other instances serve; ``replaced``: when there are more, fewer, of other versions."""
    if replaced:
        assert sorted(after.versions.values()) == sorted(before.versions.values()), (before.versions, after.versions)
    else:
        assert after.versions == before.versions, (before.versions, after.versions)


def _require_back(scene: Scene, failed: int) -> None:
    """Raises AssertionError unless the newest record is the scene's release again, with its image for who comes next.

    ``failed`` is the record that has to say for good that it never stood.
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
    """The database says that it is at an older schema than it is: whoever migrates it makes tables that are there."""
    marked = "update alembic_version set version_num = :'revision'"
    newest = fleet.query(serving, "select version_num from alembic_version")
    fleet.query(serving, marked, revision=BEFORE_TABLE_APP)
    try:
        yield
    finally:
        fleet.query(serving, marked, revision=newest)


@contextmanager
def broken_image(serving: Serving) -> Iterator[str]:
    """The image that is published now without Ollama's program, published in its place; both are undone at the end.

    It has the good one's key, as `make bake FORCE=1` would give it: a deploy takes the newest image of its content, and
    one of another content it would replace before anything starts from it.
    """
    context, environment = serving.context, serving.context.environment.name
    published = parameter(context.aws, context.contract.parameter("image", environment))
    good = _baked(serving, str(published))
    container = f"{engine.REPOSITORY}:{good.key}-rehearsal"
    made = _without_ollama(serving, good, container)
    try:
        images.publish(environment, context.contract, context.aws, made)
        yield made
    finally:
        images.publish(environment, context.contract, context.aws, good.identifier)
        images.deregister(context.aws, _baked(serving, made))
        fleet.until(lambda: engine.remove_image(container), f"end of all that runs {container}", ENDING_SECONDS)


def _without_ollama(serving: Serving, good: Image, container: str) -> str:
    """Commit the broken image under this name and register it as the bake does; its id."""
    docker, builder = serving.docker, f"ollama-gpu-rehearsal-{good.key}"
    docker.remove(builder)  # of a run that was killed
    try:
        docker.output("run", f"--name={builder}", "--network=none", good.container, "rm", OLLAMA)
        docker.output("commit", builder, container)
    finally:
        docker.remove(builder)
    context = serving.context
    release = next(each["release"] for each in _releases(serving.driver) if each["outcome"] == "deployed")
    labels = images.tags(context.contract, context.environment.name, release, good.key)
    return images.register_container(context.contract, context.aws, f"{good.name}-rehearsal", container, labels)


def _baked(serving: Serving, identifier: str) -> Image:
    known = images.baked(serving.context.contract, serving.context.aws)
    found = next((image for image in known if image.identifier == identifier), None)
    assert found is not None, f"{identifier} is no image of a bake"
    return found


def _releases(driver: Driver) -> list[dict[str, Any]]:
    """All records, newest first."""
    listed = driver.run("releases", "--env", "local", "--all", "--json")
    assert listed.status == 0, listed.err
    found: list[dict[str, Any]] = listed.json
    return found


def _last_refresh(serving: Serving) -> dict[str, Any]:
    """What Auto Scaling says of the group's newest refresh; nothing where there was none."""
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
