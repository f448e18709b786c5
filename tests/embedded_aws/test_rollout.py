"""The driver's rollout over the real engine with its real ticker: started, followed, turned round, taken back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ollama_gpu import contract, environments, rollout
from ollama_gpu.aws import Aws
from ollama_gpu.context import Context
from ollama_gpu.embedded_aws.process import Endpoint
from ollama_gpu.errors import UserError
from ollama_gpu.lab import handles
from ollama_gpu.paths import locate
from ollama_gpu.rollout import steps
from tests.soak import rehearsals

from .conftest import REGION, wait_until

OLD = "b2xk"  # user data
TAGS = ("Project", "Environment", "Fleet")


@dataclass
class Seen:
    """A progress view that keeps what a person was told."""

    said: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)

    def started(self, stage: str) -> None: ...

    def event(self, event: Any) -> None: ...

    def tick(self) -> None: ...

    def notice(self, text: str) -> None:
        self.said.append(text)

    def finished(self, outcome: str) -> None:
        self.outcomes.append(outcome)


def template_data(image: str, security_group: str, user_data: str, tags: Iterable[str]) -> Any:
    """A version of the template; ``tags`` in any order, as Terraform hands them over."""
    tagged = [{"Key": name, "Value": "x"} for name in tags]
    return {
        "ImageId": image,
        "SecurityGroupIds": [security_group],
        "UserData": user_data,
        "TagSpecifications": [{"ResourceType": "instance", "Tags": tagged}],
    }


@dataclass
class Fleets:
    """An environment's `interactive` group of two and its empty `batch`, as Terraform makes them."""

    context: Context
    name: str
    template: str
    image: str
    security_group: str
    alarms: list[str] = field(default_factory=list)
    bake_seconds: int = 0

    @property
    def aws(self) -> Aws:
        return self.context.aws

    @property
    def latest(self) -> int:
        found = self.aws.ec2.describe_launch_templates(LaunchTemplateIds=[self.template])["LaunchTemplates"]
        return int(found[0]["LatestVersionNumber"])

    @property
    def outputs(self) -> dict[str, Any]:
        """What Terraform's outputs say of them."""
        template = {"id": self.template, "latest_version": self.latest, "name": self.name}
        return {
            "fleets": {
                fleet: {"group_name": self.group_name(fleet), "launch_template": template}
                for fleet in ("batch", "interactive")
            },
            "rollout": {
                "bake_seconds": self.bake_seconds,
                "warmup_seconds": 0,
                "alarm_names": {"interactive": self.alarms, "batch": []},
            },
        }

    def group_name(self, fleet: str) -> str:
        return f"{self.name}-{fleet}"

    def group(self, fleet: str = "interactive") -> Any:
        return self.aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group_name(fleet)])[
            "AutoScalingGroups"
        ][0]

    def named(self, fleet: str = "interactive") -> str:
        policy = self.group(fleet)["MixedInstancesPolicy"]
        return str(policy["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"])

    def in_service(self) -> Counter[str]:
        """Instances of the interactive fleet that serve, by version."""
        return Counter(
            each["LaunchTemplate"]["Version"]
            for each in self.group()["Instances"]
            if each["LifecycleState"] == "InService"
        )

    def new_version(self, user_data: str = "bmV3") -> str:
        data = template_data(self.image, self.security_group, user_data, reversed(TAGS))
        made = self.aws.ec2.create_launch_template_version(LaunchTemplateId=self.template, LaunchTemplateData=data)
        return str(made["LaunchTemplateVersion"]["VersionNumber"])

    def waiting(self) -> list[str]:
        """New instances whose launch hook waits for their word."""
        return [each["InstanceId"] for each in self.group()["Instances"] if each["LifecycleState"] == "Pending:Wait"]

    def answer(self, result: str) -> None:
        for instance in self.waiting():
            with suppress(ClientError):  # it was answered in the last round, and the group has not moved it yet
                self.aws.autoscaling.complete_lifecycle_action(
                    AutoScalingGroupName=self.group_name("interactive"),
                    LifecycleHookName="ready",
                    LifecycleActionResult=result,
                    InstanceId=instance,
                )


@pytest.fixture
def fleets(client: Callable[[str], Any], endpoint: Endpoint, network: dict[str, Any], name: str) -> Fleets:
    where = locate()
    local = environments.load(where, "local")
    context = Context(where, local, contract.load(where.contract), Aws(REGION, endpoint.url), {}, ())
    ec2, asg = client("ec2"), client("autoscaling")
    image = ec2.register_image(Name=name, RootDeviceName="/dev/sda1")["ImageId"]
    data = template_data(image, network["group"], OLD, TAGS)
    template = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    made = Fleets(context, name, template["LaunchTemplate"]["LaunchTemplateId"], image, network["group"])
    for fleet, desired in (("interactive", 2), ("batch", 0)):
        asg.create_auto_scaling_group(
            AutoScalingGroupName=made.group_name(fleet),
            MinSize=0,
            MaxSize=4,
            DesiredCapacity=desired,
            VPCZoneIdentifier=",".join(network["subnets"]),
            InstanceMaintenancePolicy={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 110},
            MixedInstancesPolicy={
                "LaunchTemplate": {
                    "LaunchTemplateSpecification": {"LaunchTemplateId": made.template, "Version": "1"},
                    "Overrides": [{"InstanceType": "g5.xlarge"}, {"InstanceType": "g4dn.xlarge"}],
                },
                "InstancesDistribution": {"OnDemandBaseCapacity": 2, "OnDemandAllocationStrategy": "prioritized"},
            },
            LifecycleHookSpecificationList=[
                {
                    "LifecycleHookName": "ready",
                    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                    "DefaultResult": "ABANDON",
                }
            ],
        )
    wait_until(lambda: made.in_service() == Counter({"1": 2}))
    return made


@pytest.fixture
def silent(endpoint: Endpoint) -> Iterator[None]:
    """New instances answer their launch hook themselves, which is to say that the test does."""
    handles.say_world(endpoint.url, present=True)
    yield
    handles.say_world(endpoint.url, present=False)


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "EVERY_SECONDS", 0.2)


def each_time(action: Callable[[], None]) -> Callable[[float], None]:
    """A sleep during which something happens."""

    def sleep(seconds: float) -> None:
        action()
        time.sleep(seconds)

    return sleep


def test_nothing_is_due_right_after_the_first_deploy(fleets: Fleets) -> None:
    assert rollout.due(fleets.context, fleets.outputs) == []
    assert rollout.roll(fleets.context, fleets.outputs, Seen()) == []
    assert (
        fleets.aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName=fleets.group_name("interactive"))[
            "InstanceRefreshes"
        ]
        == []
    )


def test_every_fleet_goes_to_the_new_version_and_two_always_serve(fleets: Fleets) -> None:
    version, before, serving = fleets.new_version(), fleets.group()["MixedInstancesPolicy"], []
    view = Seen()

    done = rollout.roll(
        fleets.context, fleets.outputs, view, each_time(lambda: serving.append(fleets.in_service().total()))
    )

    assert [(each.fleet, each.status) for each in done] == [("interactive", "Successful"), ("batch", "Successful")]
    assert min(serving) >= 2
    answer = fleets.aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName=done[0].group)
    preferences = answer["InstanceRefreshes"][0]["Preferences"]
    assert (preferences["MinHealthyPercentage"], preferences["AutoRollback"]) == (100, True)
    assert fleets.in_service() == Counter({version: 2})
    assert (fleets.named(), fleets.named("batch")) == (version, version)
    after = fleets.group()["MixedInstancesPolicy"]
    assert after["InstancesDistribution"] == before["InstancesDistribution"]
    assert after["LaunchTemplate"]["Overrides"] == before["LaunchTemplate"]["Overrides"]
    assert any("InProgress" in line for line in view.said)
    assert view.outcomes == ["Successful", "Successful"]
    assert rollout.due(fleets.context, fleets.outputs) == []


def test_a_version_that_says_what_the_instances_are_already_replaces_none(fleets: Fleets) -> None:
    fleets.new_version()
    assert [fleet.stale for fleet in rollout.due(fleets.context, fleets.outputs)] == [2, 0]
    fleets.new_version(OLD)
    assert rollout.due(fleets.context, fleets.outputs) == []


def test_a_version_whose_instances_give_up_is_taken_back_with_the_boot_step_that_failed(
    fleets: Fleets, silent: None, client: Callable[[str], Any]
) -> None:
    version, logged = fleets.new_version(), set[str]()
    logs, group = client("logs"), fleets.context.contract.log_group("instance", "local")
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        logs.create_log_group(logGroupName=group)

    def fail() -> None:
        for instance in fleets.waiting():
            if instance not in logged:
                logs.create_log_stream(logGroupName=group, logStreamName=instance)
                line = "ollama-gpu-boot: step=open_webui_service result=failed seconds=3.1 cause=no such image"
                event = {"timestamp": int(time.time() * 1000), "message": line}
                logs.put_log_events(logGroupName=group, logStreamName=instance, logEvents=[event])
                logged.add(instance)
        fleets.answer("ABANDON")

    view = Seen()
    with pytest.raises(UserError) as ended:
        rollout.roll(fleets.context, fleets.outputs, view, each_time(fail))

    said = str(ended.value)
    assert f"The rollout of interactive to version {version} was taken back" in said
    assert any(f"{each} failed at its boot's step open_webui_service: no such image" in said for each in logged)
    assert fleets.in_service() == Counter({"1": 2})
    assert fleets.named() == "1"
    assert fleets.named("batch") == "1", "the other fleet must not get what failed people"
    assert len(logged) <= steps.LOST_INSTANCES + 1, "more of the same was tried than is of use"
    assert any("going back" in line for line in view.said)


def test_an_alarm_that_is_rung_when_the_first_new_instance_serves_takes_it_back(fleets: Fleets) -> None:
    """What `make rehearse` does to a lab."""
    fleets.alarms, fleets.bake_seconds = [f"{fleets.name}-rung"], 600
    fleets.aws.cloudwatch.put_metric_alarm(
        AlarmName=fleets.alarms[0], Namespace=fleets.name, MetricName="rung", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    serving: Any = SimpleNamespace(context=fleets.context, group=fleets.group_name("interactive"), fleet=fleets.group)
    version, leave, served = fleets.new_version(), threading.Event(), Counter[str]()

    def see() -> None:
        served.update(fleets.in_service())

    with ThreadPoolExecutor(1) as pool:
        rung = pool.submit(rehearsals._ring, serving, None, leave)
        try:
            with pytest.raises(UserError, match=f"Alarm {fleets.alarms[0]} is in ALARM state"):
                rollout.roll(fleets.context, fleets.outputs, Seen(), each_time(see))
        finally:
            leave.set()
    assert rung.result() == fleets.alarms[0]
    assert served[version] > 0, "it rang before anybody met the new version"
    assert fleets.in_service() == Counter({"1": 2})


def test_an_alarm_during_the_bake_takes_the_version_back(fleets: Fleets) -> None:
    cloudwatch = fleets.aws.cloudwatch
    fleets.alarms, fleets.bake_seconds = [f"{fleets.name}-rejected", f"{fleets.name}-rings-already"], 600
    for alarm in fleets.alarms:
        cloudwatch.put_metric_alarm(
            AlarmName=alarm, Namespace=fleets.name, MetricName=alarm, Statistic="Sum", Period=10, EvaluationPeriods=1,
            Threshold=0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
        )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=fleets.alarms[1], StateValue="ALARM", StateReason="by the test")
    fleets.new_version()
    started = rollout.start(fleets.context, fleets.outputs, rollout.due(fleets.context, fleets.outputs)[0])

    def reject() -> None:
        if rollout.newest(fleets.aws, fleets.outputs, "interactive").status == "Baking":  # type: ignore[union-attr]
            data: Any = [{"MetricName": fleets.alarms[0], "Value": 3}]
            cloudwatch.put_metric_data(Namespace=fleets.name, MetricData=data)

    with pytest.raises(UserError, match=f"Alarm {fleets.alarms[0]} is in ALARM state"):
        rollout.follow(fleets.context, started, Seen(), each_time(reject))
    assert fleets.in_service() == Counter({"1": 2})
    assert fleets.named() == "1"


def test_who_stops_following_stops_nothing_and_is_told_how_to_go_on(fleets: Fleets, capsys: Any) -> None:
    version = fleets.new_version()
    started = rollout.start(fleets.context, fleets.outputs, rollout.due(fleets.context, fleets.outputs)[0])

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    view = Seen()
    with pytest.raises(KeyboardInterrupt):
        rollout.follow(fleets.context, started, view, interrupt)
    told = capsys.readouterr().err
    assert "ollama-gpu rollout follow --env local" in told
    assert "ollama-gpu rollout cancel --env local" in told
    assert view.outcomes == ["no longer followed"]

    followed = rollout.roll(fleets.context, fleets.outputs, Seen())
    assert followed[0].identifier == started.identifier, "the second run started another one"
    assert fleets.in_service() == Counter({version: 2})


def test_a_rollout_is_taken_back_on_request(fleets: Fleets, silent: None) -> None:
    fleets.new_version()
    started = rollout.start(fleets.context, fleets.outputs, rollout.due(fleets.context, fleets.outputs)[0])
    wait_until(fleets.waiting)
    back = rollout.take_back(fleets.context, fleets.outputs, Seen(), each_time(lambda: fleets.answer("CONTINUE")))
    assert [(each.identifier, each.status) for each in back] == [(started.identifier, "RollbackSuccessful")]
    assert fleets.in_service() == Counter({"1": 2})
    assert rollout.take_back(fleets.context, fleets.outputs, Seen()) == []


def test_another_version_waits_until_the_rollout_that_goes_on_has_ended(fleets: Fleets, silent: None) -> None:
    fleets.new_version()
    rollout.start(fleets.context, fleets.outputs, rollout.due(fleets.context, fleets.outputs)[0])
    fleets.new_version()
    with pytest.raises(UserError, match=r"to version 2.*\n.*rollout follow --env local.*rollout cancel"):
        rollout.roll(fleets.context, fleets.outputs, Seen())


def test_a_fleet_tells_what_runs_and_what_is_newest(fleets: Fleets) -> None:
    fleets.new_version()
    seen = rollout.describe(fleets.context, fleets.outputs)
    assert seen["interactive"] == {
        "newest_version": "2",
        "group_version": "1",
        "instances_by_version": {"1": 2},
        "due": True,
        "last": None,
    }
