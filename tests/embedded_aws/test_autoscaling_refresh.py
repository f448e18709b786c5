"""Instance refresh: rolling, checkpoints, baking, failing, rolling back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ollama_gpu.embedded_aws import autoscaling

from .autoscaling_fabric import Fabric, fabric

__all__ = ["fabric"]


def start(fabric: Fabric, version: str, **preferences: Any) -> str:
    """Start a refresh to a numbered version, without warm-up unless asked."""
    answer = fabric.asg.start_instance_refresh(
        AutoScalingGroupName="fleet",
        Strategy="Rolling",
        DesiredConfiguration={"LaunchTemplate": fabric.specification(version)},
        Preferences={"InstanceWarmup": 0, **preferences},
    )
    return str(answer["InstanceRefreshId"])


def refresh(fabric: Fabric) -> Any:
    return fabric.asg.describe_instance_refreshes(AutoScalingGroupName="fleet")["InstanceRefreshes"][0]


def status(fabric: Fabric) -> str:
    return str(refresh(fabric)["Status"])


def make_ready(fabric: Fabric, desired: int = 4, **more: Any) -> str:
    fabric.create(0, 10, desired, **more)
    fabric.settle()
    return fabric.new_version()


def break_launches(fabric: Fabric) -> None:
    """From now on every launching instance gives up."""
    autoscaling.answer_lifecycle_actions(False)
    fabric.asg.put_lifecycle_hook(
        AutoScalingGroupName="fleet",
        LifecycleHookName="hook",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=30,
        DefaultResult="ABANDON",
    )


def test_a_refresh_rolls_every_instance_and_the_group_names_the_new_version(fabric: Fabric) -> None:
    version = make_ready(fabric)
    start(fabric, version, MinHealthyPercentage=50)
    assert status(fabric) == "Pending"
    seen = []
    for _ in range(100):
        fabric.tick()
        described = refresh(fabric)
        seen.append(described["PercentageComplete"])
        if described["Status"] == "Successful":
            break
        assert fabric.group()["LaunchTemplate"]["Version"] == "1"
        assert fabric.states()["InService"] >= 2
    assert status(fabric) == "Successful"
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert {0, 50} <= set(seen)
    assert fabric.versions() == Counter({version: 4})
    assert fabric.group()["LaunchTemplate"]["Version"] == version
    assert fabric.zones().most_common(1)[0][1] == 2
    assert "in response to an instance refresh." in fabric.activities()[0]["Cause"]


@pytest.mark.parametrize(("high", "most"), [(100, 5), (150, 6)])
def test_with_all_healthy_it_launches_before_it_terminates(fabric: Fabric, high: int, most: int) -> None:
    version = make_ready(fabric)
    start(fabric, version, MinHealthyPercentage=100, MaxHealthyPercentage=high)
    totals = []
    while status(fabric) in ("Pending", "InProgress"):
        fabric.tick()
        assert fabric.states()["InService"] >= 4
        totals.append(len([each for each in fabric.instances() if "Terminating" not in each["LifecycleState"]]))
        assert len(totals) < 100
    assert max(totals) == most
    assert fabric.versions() == Counter({version: 4})


def test_matching_instances_are_skipped_when_asked(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    before = set(fabric.ids())
    start(fabric, "1", SkipMatching=True)
    fabric.tick(times=5)
    assert status(fabric) == "Successful"
    assert set(fabric.ids()) == before
    start(fabric, version, SkipMatching=True)
    fabric.tick_until(lambda: status(fabric) == "Successful")
    assert not before & set(fabric.ids())


def test_the_mixed_instances_policy_can_be_the_desired_configuration(fabric: Fabric) -> None:
    version = make_ready(fabric, 2, MixedInstancesPolicy=fabric.mixed("g5.xlarge", OnDemandBaseCapacity=2))
    fabric.asg.start_instance_refresh(
        AutoScalingGroupName="fleet",
        DesiredConfiguration={
            "MixedInstancesPolicy": {"LaunchTemplate": {"LaunchTemplateSpecification": fabric.specification(version)}}
        },
        Preferences={"InstanceWarmup": 0},
    )
    fabric.tick_until(lambda: status(fabric) == "Successful")
    policy = fabric.group()["MixedInstancesPolicy"]
    assert policy["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"] == version
    assert policy["LaunchTemplate"]["Overrides"] == [{"InstanceType": "g5.xlarge"}]
    assert policy["InstancesDistribution"]["OnDemandBaseCapacity"] == 2


def test_a_second_refresh_is_refused_while_one_runs(fabric: Fabric) -> None:
    version = make_ready(fabric)
    start(fabric, version)
    fabric.tick()
    with pytest.raises(ClientError) as error:
        start(fabric, version)
    assert error.value.response["Error"]["Code"] == "InstanceRefreshInProgress"


@pytest.mark.parametrize("side", ["group", "desired"])
def test_auto_rollback_needs_numbered_versions(fabric: Fabric, side: str) -> None:
    version = make_ready(fabric, 1, LaunchTemplate=fabric.specification("$Latest" if side == "group" else "1"))
    with pytest.raises(ClientError, match=r"\$Latest or \$Default"):
        start(fabric, "$Latest" if side == "desired" else version, AutoRollback=True)


def test_successors_must_be_warm_before_the_next_are_replaced(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    start(fabric, version, MinHealthyPercentage=50, InstanceWarmup=300)
    fabric.tick(10, times=25)
    assert fabric.versions() == Counter({"1": 1, version: 1})
    fabric.tick(10, times=70)
    assert status(fabric) == "Successful"


def test_checkpoints_hold_the_refresh_for_their_delay(fabric: Fabric) -> None:
    version = make_ready(fabric)
    start(fabric, version, MinHealthyPercentage=50, CheckpointPercentages=[25, 100], CheckpointDelay=600)
    fabric.tick(times=300)
    assert fabric.versions() == Counter({"1": 3, version: 1})
    assert refresh(fabric)["PercentageComplete"] == 25
    assert "Reached checkpoint of 25 percent" in refresh(fabric)["StatusReason"]
    fabric.tick(10, times=40)
    assert status(fabric) == "Successful"


def test_baking_comes_before_success(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    start(fabric, version, BakeTime=3600)
    fabric.tick_until(lambda: status(fabric) == "Baking")
    fabric.tick(60, times=50)
    assert status(fabric) == "Baking"
    assert fabric.group()["LaunchTemplate"]["Version"] == "1"
    fabric.tick(60, times=12)
    assert status(fabric) == "Successful"
    assert fabric.group()["LaunchTemplate"]["Version"] == version


def put_alarm(fabric: Fabric, state: str) -> None:
    fabric.cloudwatch.put_metric_alarm(
        AlarmName="degraded",
        Namespace="OllamaGPU",
        MetricName="Rejected",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    fabric.cloudwatch.set_alarm_state(AlarmName="degraded", StateValue=state, StateReason="by the test")


def test_an_alarm_during_baking_rolls_back_to_the_previous_version(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    put_alarm(fabric, "OK")
    start(
        fabric,
        version,
        BakeTime=3600,
        AutoRollback=True,
        AlarmSpecification={"Alarms": ["degraded"]},
        MinHealthyPercentage=50,
    )
    fabric.tick_until(lambda: status(fabric) == "Baking")
    put_alarm(fabric, "ALARM")
    fabric.tick()
    assert status(fabric) == "RollbackInProgress"
    fabric.tick_until(lambda: status(fabric) == "RollbackSuccessful")
    assert fabric.versions() == Counter({"1": 2})
    assert fabric.group()["LaunchTemplate"]["Version"] == "1"
    details = refresh(fabric)["RollbackDetails"]
    assert "Alarm degraded is in ALARM state" in details["RollbackReason"]
    assert details["PercentageCompleteOnRollback"] == 100


def test_an_alarm_without_rollback_fails_the_refresh(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    put_alarm(fabric, "ALARM")
    start(fabric, version, AlarmSpecification={"Alarms": ["degraded"]})
    fabric.tick(times=3)
    assert status(fabric) == "Failed"
    assert fabric.versions() == Counter({"1": 2})


def test_an_unknown_alarm_is_refused(fabric: Fabric) -> None:
    version = make_ready(fabric, 1)
    with pytest.raises(ClientError, match="The alarm missing does not exist"):
        start(fabric, version, AlarmSpecification={"Alarms": ["missing"]})


def test_launches_that_never_come_into_service_fail_the_refresh(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    break_launches(fabric)
    start(fabric, version, MinHealthyPercentage=50)
    fabric.tick_until(lambda: status(fabric) == "Failed", seconds=5)
    assert "failed to launch or to become healthy" in refresh(fabric)["StatusReason"]
    assert "Heartbeat Timeout" in refresh(fabric)["StatusReason"]
    assert fabric.group()["LaunchTemplate"]["Version"] == "1"
    assert fabric.versions()["1"] >= 1


def test_failing_launches_roll_back_and_leave_the_old_version_running(fabric: Fabric) -> None:
    version = make_ready(fabric, 4)
    break_launches(fabric)
    start(fabric, version, MinHealthyPercentage=75, AutoRollback=True)
    fabric.tick_until(lambda: status(fabric) == "RollbackInProgress", seconds=5)
    fabric.asg.delete_lifecycle_hook(AutoScalingGroupName="fleet", LifecycleHookName="hook")
    fabric.tick_until(lambda: status(fabric) == "RollbackSuccessful")
    assert fabric.versions() == Counter({"1": 4})
    assert fabric.states() == Counter(InService=4)
    assert fabric.group()["LaunchTemplate"]["Version"] == "1"


def test_a_rollback_that_cannot_launch_either_fails(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    break_launches(fabric)
    start(fabric, version, MinHealthyPercentage=50, AutoRollback=True)
    fabric.tick_until(lambda: status(fabric) == "RollbackFailed", seconds=5)


def test_successors_that_turn_unhealthy_fail_the_refresh(fabric: Fabric) -> None:
    version = make_ready(fabric, 2, HealthCheckType="ELB", TargetGroupARNs=[fabric.target_group])
    start(fabric, version, MinHealthyPercentage=50, InstanceWarmup=60)

    def failed() -> bool:
        for instance in fabric.instances():
            new = instance["LaunchTemplate"]["Version"] == version
            if new and fabric.targets().get(instance["InstanceId"]) == "healthy":
                fabric.set_target(instance["InstanceId"], "unhealthy")
        return status(fabric) == "Failed"

    fabric.tick_until(failed, seconds=5)
    assert "ELB system health check failure" in refresh(fabric)["StatusReason"]


def test_targets_that_never_become_healthy_exhaust_the_patience(fabric: Fabric) -> None:
    version = make_ready(fabric, 2, HealthCheckType="ELB", TargetGroupARNs=[fabric.target_group])
    autoscaling.start_targets_healthy(False)
    for instance_id in fabric.ids():
        fabric.set_target(instance_id, "healthy")
    start(fabric, version, MinHealthyPercentage=50)
    fabric.tick(60, times=58)
    assert status(fabric) == "InProgress"
    fabric.tick(60, times=8)
    assert status(fabric) == "Failed"
    assert fabric.versions() == Counter({"1": 1, version: 1})


def test_a_protected_instance_is_waited_for_ignored_or_refreshed(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    protected = fabric.ids()[0]
    fabric.asg.set_instance_protection(AutoScalingGroupName="fleet", InstanceIds=[protected], ProtectedFromScaleIn=True)
    start(fabric, version, MinHealthyPercentage=50, ScaleInProtectedInstances="Ignore")
    fabric.tick_until(lambda: status(fabric) == "Successful")
    assert protected in fabric.ids()
    start(fabric, version, MinHealthyPercentage=50, ScaleInProtectedInstances="Wait")
    fabric.tick(60, times=50)
    assert status(fabric) == "InProgress"
    fabric.asg.cancel_instance_refresh(AutoScalingGroupName="fleet")
    fabric.tick()
    start(fabric, version, MinHealthyPercentage=50, ScaleInProtectedInstances="Refresh")
    fabric.tick_until(lambda: status(fabric) == "Successful")
    assert protected not in fabric.ids()


def test_a_cancelled_refresh_stops_and_leaves_the_configuration(fabric: Fabric) -> None:
    version = make_ready(fabric)
    start(fabric, version, MinHealthyPercentage=75)
    fabric.tick(times=4)
    fabric.asg.cancel_instance_refresh(AutoScalingGroupName="fleet")
    assert status(fabric) == "Cancelling"
    fabric.tick_until(lambda: status(fabric) == "Cancelled")
    fabric.settle()
    mixed = fabric.versions()
    fabric.tick(times=10)
    assert fabric.versions() == mixed
    assert mixed["1"] > 0
    assert fabric.group()["LaunchTemplate"]["Version"] == "1"
    with pytest.raises(ClientError) as error:
        fabric.asg.cancel_instance_refresh(AutoScalingGroupName="fleet")
    assert error.value.response["Error"]["Code"] == "ActiveInstanceRefreshNotFound"


def test_a_running_refresh_is_rolled_back_on_request(fabric: Fabric) -> None:
    version = make_ready(fabric)
    start(fabric, version, MinHealthyPercentage=75)
    fabric.tick_until(lambda: fabric.versions()[version] >= 2)
    fabric.asg.rollback_instance_refresh(AutoScalingGroupName="fleet")
    fabric.tick_until(lambda: status(fabric) == "RollbackSuccessful")
    assert fabric.versions() == Counter({"1": 4})


def test_a_refresh_without_a_desired_configuration_cannot_be_rolled_back(fabric: Fabric) -> None:
    make_ready(fabric)
    fabric.asg.start_instance_refresh(AutoScalingGroupName="fleet")
    fabric.tick()
    with pytest.raises(ClientError) as error:
        fabric.asg.rollback_instance_refresh(AutoScalingGroupName="fleet")
    assert error.value.response["Error"]["Code"] == "IrreversibleInstanceRefresh"
