"""A small fabric in the test process. The test moves its clock, so there is no ticker and no waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from ollama_gpu.local.embedded_aws import autoscaling
from ollama_gpu.local.embedded_aws.completions import apply_all

REGION = "us-east-1"
ACCOUNT = "123456789012"  # moto's default account


@dataclass
class Fabric:
    """Subnets in three zones, a launch template, a target group, and the group under test, `fleet`."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __post_init__(self) -> None:
        self.asg = boto3.client("autoscaling", REGION)
        self.ec2 = boto3.client("ec2", REGION)
        self.elbv2 = boto3.client("elbv2", REGION)
        self.cloudwatch = boto3.client("cloudwatch", REGION)
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
                "SubnetId"
            ]
            for i, zone in enumerate("abc")
        ]
        self.security_group = self.ec2.create_security_group(GroupName="fleet", Description="fleet", VpcId=vpc)[
            "GroupId"
        ]
        self.image = self.ec2.register_image(Name="fleet", RootDeviceName="/dev/sda1")["ImageId"]
        self.template = self.ec2.create_launch_template(
            LaunchTemplateName="fleet", LaunchTemplateData=self.template_data("Zmlyc3Q=")
        )["LaunchTemplate"]["LaunchTemplateId"]
        self.target_group = self.elbv2.create_target_group(Name="fleet", Protocol="HTTPS", Port=8443, VpcId=vpc)[
            "TargetGroups"
        ][0]["TargetGroupArn"]

    def template_data(self, user_data: str) -> Any:
        return {
            "ImageId": self.image,
            "InstanceType": "g5.xlarge",
            "UserData": user_data,
            "SecurityGroupIds": [self.security_group],
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "From", "Value": "template"}]}],
        }

    def new_version(self, user_data: str = "c2Vjb25k") -> str:
        answer = self.ec2.create_launch_template_version(
            LaunchTemplateId=self.template, LaunchTemplateData=self.template_data(user_data)
        )
        return str(answer["LaunchTemplateVersion"]["VersionNumber"])

    def specification(self, version: str = "1") -> Any:
        return {"LaunchTemplateId": self.template, "Version": version}

    def mixed(self, *types: str, version: str = "1", **distribution: Any) -> Any:
        return {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": self.specification(version),
                "Overrides": [{"InstanceType": name} for name in types],
            },
            "InstancesDistribution": distribution,
        }

    def create(self, low: int = 0, high: int = 10, desired: int | None = None, **more: Any) -> None:
        """Create the group, by default from one launch template, in all zones, without a grace period."""
        if "MixedInstancesPolicy" not in more:
            more.setdefault("LaunchTemplate", self.specification())
        more.setdefault("VPCZoneIdentifier", ",".join(self.subnets))
        more.setdefault("HealthCheckGracePeriod", 0)
        if desired is not None:
            more["DesiredCapacity"] = desired
        self.asg.create_auto_scaling_group(AutoScalingGroupName="fleet", MinSize=low, MaxSize=high, **more)

    def update(self, **more: Any) -> None:
        self.asg.update_auto_scaling_group(AutoScalingGroupName="fleet", **more)

    def tick(self, seconds: float = 1, times: int = 1) -> None:
        for _ in range(times):
            self.now += timedelta(seconds=seconds)
            autoscaling.tick(self.now)

    def tick_until(self, reached: Callable[[], bool], seconds: float = 1, limit: int = 300) -> None:
        """Tick until a condition holds. Fails after ``limit`` ticks."""
        for _ in range(limit):
            if reached():
                return
            self.tick(seconds)
        raise AssertionError(f"not reached within {limit} ticks; the group is {self.group()}")

    def settle(self, seconds: float = 1) -> None:
        """Tick until the desired number of instances is in service and no instance is in transition."""
        self.tick(seconds)
        self.tick_until(lambda: self.states() == Counter(InService=self.group()["DesiredCapacity"]), seconds=seconds)

    def group(self) -> Any:
        return self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["fleet"])["AutoScalingGroups"][0]

    def instances(self) -> list[Any]:
        return list(self.group()["Instances"])

    def ids(self) -> list[str]:
        return [instance["InstanceId"] for instance in self.instances()]

    def states(self) -> Counter[str]:
        return Counter(instance["LifecycleState"] for instance in self.instances())

    def zones(self) -> Counter[str]:
        return Counter(instance["AvailabilityZone"][-1] for instance in self.instances())

    def versions(self) -> Counter[str]:
        return Counter(instance["LaunchTemplate"]["Version"] for instance in self.instances())

    def running(self) -> list[Any]:
        """Return the running instances as EC2 describes them."""
        found = self.ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
        return [instance for each in found["Reservations"] for instance in each["Instances"]]

    def activities(self) -> list[Any]:
        return list(self.asg.describe_scaling_activities(AutoScalingGroupName="fleet")["Activities"])

    def targets(self) -> dict[str, str]:
        found = self.elbv2.describe_target_health(TargetGroupArn=self.target_group)
        return {each["Target"]["Id"]: each["TargetHealth"]["State"] for each in found["TargetHealthDescriptions"]}

    def set_target(self, instance_id: str, state: str) -> None:
        autoscaling.set_target_health(
            ACCOUNT, REGION, self.target_group, instance_id, state, "Target.FailedHealthChecks"
        )

    def put_metric(self, namespace: str, name: str, dimensions: dict[str, str], values: list[float]) -> None:
        """Put one value a minute, the last one in the minute before now."""
        start = self.now - timedelta(minutes=len(values))
        for i, value in enumerate(values):
            self.cloudwatch.put_metric_data(
                Namespace=namespace,
                MetricData=[
                    {
                        "MetricName": name,
                        "Value": value,
                        "Timestamp": start + timedelta(minutes=i),
                        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
                    }
                ],
            )


@pytest.fixture
def fabric(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fabric]:
    """An empty in-process AWS with all completions and the initial settings."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    apply_all()
    autoscaling.apply()
    for name, value in vars(type(autoscaling.settings)()).items():
        monkeypatch.setattr(autoscaling.settings, name, value)
    with mock_aws():
        yield Fabric()
