"""The driver's rollout on the embedded Auto Scaling with its own ticker: start, follow, roll back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from bench.soak import rehearsals
from ollama_gpu import rollout
from ollama_gpu.core import contract
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import locate
from ollama_gpu.environment import settings
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.embedded_aws import Endpoint
from ollama_gpu.local.lab import control_client
from ollama_gpu.observe import serving
from ollama_gpu.rollout import steps
from tests.embedded.conftest import REGION, wait_until

OLD = "b2xk"  # user data
TAGS = ("Project", "Environment", "Fleet")


@dataclass
class Seen:
    """A progress view that records its notices and outcomes."""

    notices: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)

    def started(self, stage: str) -> None: ...

    def event(self, event: Any) -> None: ...

    def tick(self) -> None: ...

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def finished(self, outcome: str) -> None:
        self.outcomes.append(outcome)


def template_data(image: str, security_group: str, user_data: str, tags: Iterable[str]) -> Any:
    """Return the data of a template version. ``tags`` may have any order, as from Terraform."""
    tagged = [{"Key": name, "Value": "x"} for name in tags]
    return {
        "ImageId": image,
        "SecurityGroupIds": [security_group],
        "UserData": user_data,
        "TagSpecifications": [{"ResourceType": "instance", "Tags": tagged}],
    }


@dataclass
class Fleets:
    """The fleets of an environment as Terraform creates them: `interactive` with two instances, `batch` empty."""

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
        """The outputs of Terraform for the fleets."""
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
        """Count the instances of the interactive fleet in service, by version."""
        return Counter(
            each["LaunchTemplate"]["Version"]
            for each in self.group()["Instances"]
            if each["LifecycleState"] == "InService"
        )

    def new_version(self, user_data: str = "bmV3") -> str:
        data = template_data(self.image, self.security_group, user_data, reversed(TAGS))
        created = self.aws.ec2.create_launch_template_version(LaunchTemplateId=self.template, LaunchTemplateData=data)
        return str(created["LaunchTemplateVersion"]["VersionNumber"])

    def waiting(self) -> list[str]:
        """Return the new instances that wait for their launch hook."""
        return [each["InstanceId"] for each in self.group()["Instances"] if each["LifecycleState"] == "Pending:Wait"]

    def answer(self, result: str) -> None:
        for instance in self.waiting():
            with suppress(ClientError):  # completed in the last round, and the group has not ticked since
                self.aws.autoscaling.complete_lifecycle_action(
                    AutoScalingGroupName=self.group_name("interactive"),
                    LifecycleHookName="ready",
                    LifecycleActionResult=result,
                    InstanceId=instance,
                )


@pytest.fixture
def fleets(client: Callable[[str], Any], endpoint: Endpoint, network: dict[str, Any], name: str) -> Fleets:
    where = locate()
    local = settings.load(where, "local")
    context = Context(where, local, contract.load(where.contract), Aws(REGION, endpoint.url), {}, ())
    ec2, asg = client("ec2"), client("autoscaling")
    image = ec2.register_image(Name=name, RootDeviceName="/dev/sda1")["ImageId"]
    data = template_data(image, network["group"], OLD, TAGS)
    template = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    created = Fleets(context, name, template["LaunchTemplate"]["LaunchTemplateId"], image, network["group"])
    for fleet, desired in (("interactive", 2), ("batch", 0)):
        asg.create_auto_scaling_group(
            AutoScalingGroupName=created.group_name(fleet),
            MinSize=0,
            MaxSize=4,
            DesiredCapacity=desired,
            VPCZoneIdentifier=",".join(network["subnets"]),
            InstanceMaintenancePolicy={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 110},
            MixedInstancesPolicy={
                "LaunchTemplate": {
                    "LaunchTemplateSpecification": {"LaunchTemplateId": created.template, "Version": "1"},
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
    wait_until(lambda: created.in_service() == Counter({"1": 2}))
    return created


@pytest.fixture
def silent(endpoint: Endpoint) -> Iterator[None]:
    """The test completes the launch hooks of new instances, as with a lab."""
    control_client.set_lab_present(endpoint.url, present=True)
    yield
    control_client.set_lab_present(endpoint.url, present=False)


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "EVERY_SECONDS", 0.2)


def each_time(action: Callable[[], None]) -> Callable[[float], None]:
    """Return a sleep function that also calls ``action``."""

    def sleep(seconds: float) -> None:
        action()
        time.sleep(seconds)

    return sleep


def test_no_rollout_is_pending_after_first_deploy(fleets: Fleets) -> None:
    assert rollout.pending_rollouts(fleets.context, fleets.outputs) == []
    assert rollout.roll(fleets.context, fleets.outputs, Seen()) == []
    assert (
        fleets.aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName=fleets.group_name("interactive"))[
            "InstanceRefreshes"
        ]
        == []
    )


def test_rollout_updates_every_fleet_with_two_instances_always_in_service(fleets: Fleets) -> None:
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
    assert any("InProgress" in line for line in view.notices)
    assert view.outcomes == ["Successful", "Successful"]
    assert rollout.pending_rollouts(fleets.context, fleets.outputs) == []


def test_version_equal_to_running_instances_replaces_none(fleets: Fleets) -> None:
    fleets.new_version()
    assert [fleet.stale for fleet in rollout.pending_rollouts(fleets.context, fleets.outputs)] == [2, 0]
    fleets.new_version(OLD)
    assert rollout.pending_rollouts(fleets.context, fleets.outputs) == []


def test_failing_version_is_rolled_back_with_failed_boot_step(
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

    message = str(ended.value)
    assert f"The rollout of interactive to version {version} ended with RollbackSuccessful" in message
    assert any(f"{each} failed in boot step open_webui_service: no such image" in message for each in logged)
    assert fleets.in_service() == Counter({"1": 2})
    assert fleets.named() == "1"
    assert fleets.named("batch") == "1", "the other fleet must not get the failed version"
    assert len(logged) <= steps.LOST_INSTANCES + 1, "too many instances of the failed version were launched"
    assert any("rolling back" in line for line in view.notices)


def test_alarm_after_first_new_instance_rolls_back(fleets: Fleets) -> None:
    """`make rehearse` does the same in a lab."""
    fleets.alarms, fleets.bake_seconds = [f"{fleets.name}-alarm"], 600
    fleets.aws.cloudwatch.put_metric_alarm(
        AlarmName=fleets.alarms[0], Namespace=fleets.name, MetricName="fired", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    serving: Any = SimpleNamespace(context=fleets.context, group=fleets.group_name("interactive"), fleet=fleets.group)
    version, leave, served = fleets.new_version(), threading.Event(), Counter[str]()

    def see() -> None:
        served.update(fleets.in_service())

    with ThreadPoolExecutor(1) as pool:
        fired = pool.submit(rehearsals._fire_alarm, serving, None, leave)
        try:
            with pytest.raises(UserError, match=f"Alarm {fleets.alarms[0]} is in ALARM state"):
                rollout.roll(fleets.context, fleets.outputs, Seen(), each_time(see))
        finally:
            leave.set()
    assert fired.result() == fleets.alarms[0]
    assert served[version] > 0, "the alarm fired before the new version was in service"
    assert fleets.in_service() == Counter({"1": 2})


def test_alarm_during_bake_rolls_back(fleets: Fleets) -> None:
    cloudwatch = fleets.aws.cloudwatch
    fleets.alarms, fleets.bake_seconds = [f"{fleets.name}-rejected", f"{fleets.name}-fires-already"], 600
    for alarm in fleets.alarms:
        cloudwatch.put_metric_alarm(
            AlarmName=alarm, Namespace=fleets.name, MetricName=alarm, Statistic="Sum", Period=10, EvaluationPeriods=1,
            Threshold=0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
        )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=fleets.alarms[1], StateValue="ALARM", StateReason="by the test")
    fleets.new_version()
    started = rollout.start(fleets.context, fleets.outputs, rollout.pending_rollouts(fleets.context, fleets.outputs)[0])

    def reject() -> None:
        if rollout.newest(fleets.aws, fleets.outputs, "interactive").status == "Baking":  # type: ignore[union-attr]
            data: Any = [{"MetricName": fleets.alarms[0], "Value": 3}]
            cloudwatch.put_metric_data(Namespace=fleets.name, MetricData=data)

    with pytest.raises(UserError, match=f"Alarm {fleets.alarms[0]} is in ALARM state"):
        rollout.follow(fleets.context, started, Seen(), each_time(reject))
    assert fleets.in_service() == Counter({"1": 2})
    assert fleets.named() == "1"


def test_interrupted_follow_keeps_rollout_and_names_commands(fleets: Fleets, capsys: Any) -> None:
    version = fleets.new_version()
    started = rollout.start(fleets.context, fleets.outputs, rollout.pending_rollouts(fleets.context, fleets.outputs)[0])

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    view = Seen()
    with pytest.raises(KeyboardInterrupt):
        rollout.follow(fleets.context, started, view, interrupt)
    printed = capsys.readouterr().err
    assert "ollama-gpu rollout follow --env local" in printed
    assert "ollama-gpu rollout cancel --env local" in printed
    assert view.outcomes == ["no longer followed"]

    followed = rollout.roll(fleets.context, fleets.outputs, Seen())
    assert followed[0].identifier == started.identifier, "the second run started another refresh"
    assert fleets.in_service() == Counter({version: 2})


def answer_instead(
    aws: Aws, operation: str, times: int, answers: Callable[[], tuple[int, dict[str, Any]]]
) -> list[int]:
    """Give the first ``times`` calls of an operation another answer, as AWS does. Returns the list of these calls."""
    given: list[int] = []

    def before(**_: Any) -> Any:
        if len(given) == times:
            return None  # the request goes on
        given.append(len(given))
        status, parsed = answers()
        return AWSResponse("", status, {}, None), parsed  # type: ignore[arg-type]

    aws.autoscaling.meta.events.register_first(f"before-call.auto-scaling.{operation}", before)
    return given


def refusal(code: str) -> tuple[int, dict[str, Any]]:
    return 400, {"Error": {"Code": code, "Message": "by the test"}, "ResponseMetadata": {}}


def test_refresh_that_aws_lists_late_is_followed_by_its_id(fleets: Fleets) -> None:
    """The APIs of EC2 and Auto Scaling are eventually consistent: a describe may not show a refresh that just began."""
    fleets.new_version()
    first = rollout.roll(fleets.context, fleets.outputs, Seen())
    version = fleets.new_version("bGF0ZXI=")
    pending = rollout.pending_rollouts(fleets.context, fleets.outputs)[0]
    late = answer_instead(fleets.aws, "DescribeInstanceRefreshes", 3, lambda: (200, {"InstanceRefreshes": []}))
    started = rollout.start(fleets.context, fleets.outputs, pending)
    assert len(late) == 3
    assert started.version == version
    assert started.identifier not in {each.identifier for each in first}
    lost = answer_instead(fleets.aws, "DescribeInstanceRefreshes", 1, lambda: (200, {"InstanceRefreshes": []}))
    assert rollout.follow(fleets.context, started, Seen()).status == "Successful"
    assert len(lost) == 1


def test_repeated_start_whose_answer_was_lost_follows_the_refresh(fleets: Fleets, silent: None) -> None:
    fleets.new_version()
    pending = rollout.pending_rollouts(fleets.context, fleets.outputs)[0]
    first = rollout.start(fleets.context, fleets.outputs, pending)
    answer_instead(fleets.aws, "StartInstanceRefresh", 1, lambda: refusal("InstanceRefreshInProgress"))
    assert rollout.start(fleets.context, fleets.outputs, pending).identifier == first.identifier


def test_start_is_repeated_while_another_change_of_the_group_is_pending(
    fleets: Fleets, silent: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "CONTENTION_WAITS", (0.1, 0.1))
    fleets.new_version()
    pending = rollout.pending_rollouts(fleets.context, fleets.outputs)[0]
    refused = answer_instead(fleets.aws, "StartInstanceRefresh", 2, lambda: refusal("ResourceContention"))
    assert rollout.start(fleets.context, fleets.outputs, pending).under_way
    assert len(refused) == 2


def test_refresh_that_cannot_be_rolled_back_any_more_is_left_alone(fleets: Fleets, silent: None) -> None:
    fleets.new_version()
    rollout.start(fleets.context, fleets.outputs, rollout.pending_rollouts(fleets.context, fleets.outputs)[0])
    answer_instead(fleets.aws, "RollbackInstanceRefresh", 1, lambda: refusal("IrreversibleInstanceRefresh"))
    assert rollout.roll_back(fleets.context, fleets.outputs, Seen()) == []


def test_failed_launches_of_an_earlier_deploy_do_not_count(fleets: Fleets, silent: None) -> None:
    fleets.aws.autoscaling.set_desired_capacity(
        AutoScalingGroupName=fleets.group_name("interactive"), DesiredCapacity=3
    )
    wait_until(fleets.waiting)
    fleets.answer("ABANDON")
    group = fleets.group_name("interactive")
    wait_until(lambda: serving._failed_launches(fleets.context, group, None))
    began = datetime.now(UTC)
    assert serving._failed_launches(fleets.context, group, began), "within the tolerance for clocks"
    assert serving._failed_launches(fleets.context, group, began + 2 * serving.CLOCK_SLACK) == ()


def test_rollout_is_rolled_back_on_request(fleets: Fleets, silent: None) -> None:
    fleets.new_version()
    started = rollout.start(fleets.context, fleets.outputs, rollout.pending_rollouts(fleets.context, fleets.outputs)[0])
    wait_until(fleets.waiting)
    back = rollout.roll_back(fleets.context, fleets.outputs, Seen(), each_time(lambda: fleets.answer("CONTINUE")))
    assert [(each.identifier, each.status) for each in back] == [(started.identifier, "RollbackSuccessful")]
    assert fleets.in_service() == Counter({"1": 2})
    assert rollout.roll_back(fleets.context, fleets.outputs, Seen()) == []


def test_new_version_is_rejected_while_rollout_runs(fleets: Fleets, silent: None) -> None:
    fleets.new_version()
    rollout.start(fleets.context, fleets.outputs, rollout.pending_rollouts(fleets.context, fleets.outputs)[0])
    fleets.new_version()
    with pytest.raises(UserError, match=r"to version 2.*\n.*rollout follow --env local.*rollout cancel"):
        rollout.roll(fleets.context, fleets.outputs, Seen())


def test_describe_lists_running_and_newest_versions(fleets: Fleets) -> None:
    fleets.new_version()
    seen = rollout.describe(fleets.context, fleets.outputs)
    assert seen["interactive"] == {
        "newest_version": "2",
        "group_version": "1",
        "instances_by_version": {"1": 2},
        "due": True,
        "last": None,
    }
