"""Instance refresh: rolling, baking, failure, rollback."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ollama_gpu.local.embedded_aws import autoscaling

from .autoscaling_fabric import Fabric, fabric

__all__ = ["fabric"]


def start(fabric: Fabric, version: str, **preferences: Any) -> str:
    """Start a refresh to a numbered version, by default without warm-up."""
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
    """Make every further launch fail by a timeout of its lifecycle hook."""
    autoscaling.answer_lifecycle_actions(False)
    fabric.asg.put_lifecycle_hook(
        AutoScalingGroupName="fleet",
        LifecycleHookName="hook",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=30,
        DefaultResult="ABANDON",
    )


def test_refresh_replaces_every_instance_and_sets_new_version_on_group(fabric: Fabric) -> None:
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
def test_full_min_healthy_launches_before_terminating(fabric: Fabric, high: int, most: int) -> None:
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


def test_skip_matching_keeps_matching_instances(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    before = set(fabric.ids())
    start(fabric, "1", SkipMatching=True)
    fabric.tick(times=5)
    assert status(fabric) == "Successful"
    assert set(fabric.ids()) == before
    start(fabric, version, SkipMatching=True)
    fabric.tick_until(lambda: status(fabric) == "Successful")
    assert not before & set(fabric.ids())


def test_desired_configuration_can_be_mixed_instances_policy(fabric: Fabric) -> None:
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


def test_second_refresh_is_rejected_while_one_runs(fabric: Fabric) -> None:
    version = make_ready(fabric)
    start(fabric, version)
    fabric.tick()
    with pytest.raises(ClientError) as error:
        start(fabric, version)
    assert error.value.response["Error"]["Code"] == "InstanceRefreshInProgress"


@pytest.mark.parametrize("side", ["group", "desired"])
def test_auto_rollback_requires_numbered_versions(fabric: Fabric, side: str) -> None:
    version = make_ready(fabric, 1, LaunchTemplate=fabric.specification("$Latest" if side == "group" else "1"))
    with pytest.raises(ClientError, match=r"\$Latest or \$Default"):
        start(fabric, "$Latest" if side == "desired" else version, AutoRollback=True)


def test_next_instances_wait_for_warm_successors(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    start(fabric, version, MinHealthyPercentage=50, InstanceWarmup=300)
    fabric.tick(10, times=25)
    assert fabric.versions() == Counter({"1": 1, version: 1})
    fabric.tick(10, times=70)
    assert status(fabric) == "Successful"


def test_refresh_bakes_before_success(fabric: Fabric) -> None:
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


def test_alarm_during_baking_rolls_back(fabric: Fabric) -> None:
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


def test_alarm_without_auto_rollback_fails_refresh(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    put_alarm(fabric, "ALARM")
    start(fabric, version, AlarmSpecification={"Alarms": ["degraded"]})
    fabric.tick(times=3)
    assert status(fabric) == "Failed"
    assert fabric.versions() == Counter({"1": 2})


def test_unknown_alarm_is_rejected(fabric: Fabric) -> None:
    version = make_ready(fabric, 1)
    with pytest.raises(ClientError, match="The alarm missing does not exist"):
        start(fabric, version, AlarmSpecification={"Alarms": ["missing"]})


def test_launches_that_never_reach_service_fail_refresh(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    break_launches(fabric)
    start(fabric, version, MinHealthyPercentage=50)
    fabric.tick_until(lambda: status(fabric) == "Failed", seconds=5)
    assert "failed to launch or to become healthy" in refresh(fabric)["StatusReason"]
    assert "Heartbeat Timeout" in refresh(fabric)["StatusReason"]
    assert fabric.group()["LaunchTemplate"]["Version"] == "1"
    assert fabric.versions()["1"] >= 1


def test_failing_launches_roll_back_to_old_version(fabric: Fabric) -> None:
    version = make_ready(fabric, 4)
    break_launches(fabric)
    start(fabric, version, MinHealthyPercentage=75, AutoRollback=True)
    fabric.tick_until(lambda: status(fabric) == "RollbackInProgress", seconds=5)
    fabric.asg.delete_lifecycle_hook(AutoScalingGroupName="fleet", LifecycleHookName="hook")
    fabric.tick_until(lambda: status(fabric) == "RollbackSuccessful")
    assert fabric.versions() == Counter({"1": 4})
    assert fabric.states() == Counter(InService=4)
    assert fabric.group()["LaunchTemplate"]["Version"] == "1"


def test_rollback_fails_if_launches_fail(fabric: Fabric) -> None:
    version = make_ready(fabric, 2)
    break_launches(fabric)
    start(fabric, version, MinHealthyPercentage=50, AutoRollback=True)
    fabric.tick_until(lambda: status(fabric) == "RollbackFailed", seconds=5)


def test_unhealthy_successors_fail_refresh(fabric: Fabric) -> None:
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


def test_refresh_without_progress_times_out(fabric: Fabric) -> None:
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


def test_scale_in_protected_preference_waits_ignores_or_refreshes(fabric: Fabric) -> None:
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


def test_cancelled_refresh_stops_and_keeps_configuration(fabric: Fabric) -> None:
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


def test_running_refresh_is_rolled_back_on_request(fabric: Fabric) -> None:
    version = make_ready(fabric)
    start(fabric, version, MinHealthyPercentage=75)
    fabric.tick_until(lambda: fabric.versions()[version] >= 2)
    fabric.asg.rollback_instance_refresh(AutoScalingGroupName="fleet")
    fabric.tick_until(lambda: status(fabric) == "RollbackSuccessful")
    assert fabric.versions() == Counter({"1": 4})


def test_refresh_without_desired_configuration_cannot_be_rolled_back(fabric: Fabric) -> None:
    make_ready(fabric)
    fabric.asg.start_instance_refresh(AutoScalingGroupName="fleet")
    fabric.tick()
    with pytest.raises(ClientError) as error:
        fabric.asg.rollback_instance_refresh(AutoScalingGroupName="fleet")
    assert error.value.response["Error"]["Code"] == "IrreversibleInstanceRefresh"
