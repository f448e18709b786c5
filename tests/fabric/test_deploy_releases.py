"""After the first deploy: a second release, a failing one, a rollback, a broken state. In this order."""

from __future__ import annotations

import base64
import json
import signal
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from ollama_gpu.core import contract
from ollama_gpu.core.paths import locate
from tests.fabric import checkout
from tests.fabric.driver import Driver, Run

AGREED = contract.load(locate().contract)
STATE = {"Bucket": AGREED.state_bucket("123456789012", "us-east-1"), "Key": "local/terraform.tfstate"}
IMAGE = AGREED.parameter("image", "local")
VARIABLES = "terraform/environments/local.tfvars"


class Fleet:
    """The interactive fleet in AWS."""

    def __init__(self, aws: Any, deployed: dict[str, Any]) -> None:
        self._asg, self._ec2 = aws("autoscaling"), aws("ec2")
        self.name = deployed["fleets"]["interactive"]["group_name"]
        self.template = deployed["fleets"]["interactive"]["launch_template"]["id"]

    def versions(self) -> Counter[str]:
        group = self._asg.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"][0]
        return Counter(each["LaunchTemplate"]["Version"] for each in group["Instances"])

    def refreshes(self) -> list[Any]:
        return list(self._asg.describe_instance_refreshes(AutoScalingGroupName=self.name)["InstanceRefreshes"])

    def user_data_settings(self, version: str) -> Any:
        """The settings in the user data of a template version."""
        answer = self._ec2.describe_launch_template_versions(LaunchTemplateId=self.template, Versions=[version])
        user_data = base64.b64decode(answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]["UserData"]).decode()
        return json.loads(next(line for line in user_data.splitlines() if line.startswith("{")))


@pytest.fixture(scope="module")
def fleet(aws: Any, deployed: dict[str, Any]) -> Fleet:
    return Fleet(aws, deployed)


@pytest.fixture(scope="module")
def other_checkout(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """The same environment, deployed from another checkout."""
    return replace(driver, tree=checkout.make(tmp_path_factory.mktemp("checkout")))


@pytest.fixture(scope="module")
def other_image(aws: Any, deployed: dict[str, Any]) -> str:
    """Another image, published for the next deploy as after a bake."""
    image = aws("ec2").register_image(
        Name="another",
        Architecture="x86_64",
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}],
    )["ImageId"]
    aws("ssm").put_parameter(Name=IMAGE, Value=image, Type="String", Overwrite=True)
    return str(image)


@pytest.fixture(scope="module")
def second_deploy(other_checkout: Driver, other_image: str) -> Run:
    """A deploy from the other checkout, with the other image and a changed variable of the user data."""
    checkout.change(other_checkout.tree, VARIABLES, "min_size       = 2", "min_size       = 2\n    drain_seconds  = 97")
    return other_checkout.run("deploy", "--env", "local", "--no-lab", "--json", seconds=900)


def releases(driver: Driver) -> list[Any]:
    return list(driver.run("releases", "--env", "local", "--json").json)


def test_the_first_deploy_starts_no_refresh_and_is_recorded(
    driver: Driver, fleet: Fleet, deployed: dict[str, Any]
) -> None:
    assert fleet.refreshes() == []
    # The interrupted try may have ended before; repeated deploys of the same release add no record.
    assert [record["outcome"] for record in releases(driver)] == ["deployed", "interrupted"]
    assert releases(driver)[0]["image"] == deployed["image_id"]


def test_a_refresh_brings_a_new_image_and_variable_to_every_instance(
    second_deploy: Run, fleet: Fleet, driver: Driver, other_image: str
) -> None:
    assert second_deploy.status == 0, second_deploy.err
    assert second_deploy.json["image_id"] == other_image
    (refresh,) = fleet.refreshes()
    version = str(second_deploy.json["fleets"]["interactive"]["launch_template"]["latest_version"])
    assert refresh["Status"] == "Successful"
    assert (refresh["Preferences"]["MinHealthyPercentage"], refresh["Preferences"]["AutoRollback"]) == (100, True)
    assert f"to version {version}: InProgress" in second_deploy.err, "the progress was not shown"
    assert fleet.versions() == Counter({version: 2})
    assert fleet.user_data_settings(version)["drain_seconds"] == 97
    newest = releases(driver)[0]
    assert (newest["outcome"], newest["templates"]["interactive"]) == ("deployed", version)


def test_no_instance_follows_a_change_that_terraform_cannot_apply(
    second_deploy: Run, other_checkout: Driver, fleet: Fleet
) -> None:
    before = fleet.versions()
    checkout.change(other_checkout.tree, VARIABLES, "drain_seconds  = 97", "drain_seconds  = 50")
    (other_checkout.tree / "terraform" / "bad.tf").write_text(
        'resource "aws_iam_role_policy_attachment" "bad" {\n'
        '  role       = "nobody-has-this-role"\n'
        '  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"\n'
        "}\n"
    )
    failed = other_checkout.run("deploy", "--env", "local", "--no-lab", seconds=900)
    assert failed.refused("nobody-has-this-role not found")
    newest = releases(other_checkout)[0]
    assert (newest["outcome"], "nobody-has-this-role" in newest["cause"]) == ("failed", True)
    assert fleet.versions() == before
    assert len(fleet.refreshes()) == 1


def test_a_rollback_deploys_an_earlier_release_from_its_own_tree(
    second_deploy: Run, driver: Driver, fleet: Fleet, deployed: dict[str, Any], aws: Any
) -> None:
    """Ctrl-C in the middle of the rollback: the rollout continues, and can be followed."""
    first = releases(driver)[2]
    assert first["outcome"] == "deployed"
    process = driver.start("rollback", str(first["number"]), "--env", "local")
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "rollout: interactive" in line and "InProgress" in line:
            process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, "".join(lines)
    assert "ollama-gpu rollout follow --env local" in "".join(lines[-4:])
    assert "Traceback" not in "".join(lines)
    assert [releases(driver)[0]["outcome"], fleet.refreshes()[0]["Status"]] == ["rolling out", "InProgress"]
    followed = driver.run("rollout", "follow", "--env", "local", seconds=600)
    assert followed.status == 0, followed.err
    newest = releases(driver)[0]
    assert (newest["outcome"], newest["reapplies"]) == ("deployed", first["number"])
    same = ("release", "image", "archive_sha256", "collection_sha256", "instance")
    assert all(newest[name] == first[name] for name in same)
    outputs = driver.make("outputs", "ENV=local", "JSON=1").json
    version = str(outputs["fleets"]["interactive"]["launch_template"]["latest_version"])
    assert fleet.versions() == Counter({version: 2})
    assert fleet.user_data_settings(version)["drain_seconds"] == 110
    assert (outputs["release"], outputs["image_id"]) == (first["release"], deployed["image_id"])
    assert aws("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"] == deployed["image_id"]


def test_releases_diff_shows_the_changes_and_the_failure(driver: Driver, second_deploy: Run) -> None:
    bad, served = (record["number"] for record in releases(driver)[1:3])
    found = driver.run("releases", "diff", str(served), str(bad), "--env", "local").out
    assert "-    drain_seconds  = 97" in found
    assert "+    drain_seconds  = 50" in found
    assert "nobody-has-this-role" in found


def test_the_last_step_of_an_interrupted_restore_can_run_alone(driver: Driver, second_deploy: Run) -> None:
    settled = driver.run("restore", "--env", "local", "--update-state-only", "--yes")
    assert settled.status == 0, settled.err
    assert driver.run("plan", "--env", "local", "--json").json["changes"] is False


def test_a_truncated_or_deleted_state_is_refused_and_can_be_restored(
    driver: Driver, aws: Any, second_deploy: Run
) -> None:
    s3 = aws("s3")
    whole = s3.get_object(**STATE)["Body"].read()
    s3.put_object(**STATE, Body=whole[: len(whole) // 2])
    assert driver.run("deploy", "--env", "local", "--no-lab").refused("not valid JSON", "ollama-gpu state list")
    restore(driver)
    s3.delete_object(**STATE)
    assert driver.run("deploy", "--env", "local", "--no-lab").refused("deleted on", "ollama-gpu state list")
    restore(driver)
    plan = driver.run("plan", "--env", "local", "--json")
    assert plan.status == 0, plan.err
    assert plan.json["changes"] is False, plan.json


def restore(driver: Driver) -> None:
    """Restore the newest intact version; first check that this requires the environment's name."""
    versions = driver.run("state", "list", "--env", "local", "--json").json
    assert versions[0]["problem"]
    sound = next(version for version in versions if not version["problem"])
    assert driver.run("state", "restore", sound["identifier"], "--env", "local").refused("--confirm local")
    done = driver.run("state", "restore", sound["identifier"], "--env", "local", "--confirm", "local")
    assert done.status == 0, done.err
