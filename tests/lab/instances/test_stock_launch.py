"""A stock image becomes a serving host through user data only: Terraform's own, the release, the roles, real stores.

Nothing else configures the instance than what EC2 provides. A time limit applies: a launch takes minutes on two cores.
"""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core import collection, paths
from ollama_gpu.environment import role_variables, settings
from ollama_gpu.environment.context import Context
from ollama_gpu.local.lab import data, locations, variables_file
from ollama_gpu.local.lab.supplies import model
from ollama_gpu.models import model_set
from ollama_gpu.models import serving as serving_settings
from ollama_gpu.releases import release
from ollama_gpu.terraform.progress import NoProgress

from .conftest import CONTRACT, ENVIRONMENT, REGION, Bench

pytestmark = pytest.mark.nightly

WHERE = paths.locate()
LAUNCH_SECONDS = 1500.0
RELEASE = "stock-launch"
GROUP = "stock-launch"
USER_DATA = WHERE.repository / "terraform" / "modules" / "fleet" / "user_data.sh.tftpl"
PROGRAM = collection.source(WHERE.repository) / "roles" / "boot" / "files" / "ollama-gpu-boot"


@dataclass(frozen=True)
class Launched:
    """``timeline``: the boot program's record; ``states``: the observed lifecycle states of the group."""

    instance: str
    states: list[str]
    timeline: dict[str, Any]
    log: str


SECRETS = data.DataSecrets("ollama_gpu_admin", "a-masters-password", "a-token-for-the-cache")


@pytest.fixture(scope="module")
def stores(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[data.DataTier]:
    name = f"{bench.settings.prefix}-data"
    folder = tmp_path_factory.mktemp("stores")
    image = variables_file.read(locations.locate(WHERE).variables_file)["lab_data_image"]
    names = (f"database.{bench.settings.prefix}", f"cache.{bench.settings.prefix}")
    try:
        yield data.start(name, names, SECRETS, folder, image, bench.docker, NoProgress())
    finally:
        data.stop(name, bench.docker)


@pytest.fixture(scope="module")
def launched(bench: Bench, stores: data.DataTier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """An instance of the stock image launched by a group, in service or abandoned."""
    digest = publish(bench, stores, tmp_path_factory.mktemp("release"))
    aws = bench.aws
    template: Any = {
        "ImageId": bench.image("stock"),
        "InstanceType": "g5.xlarge",
        "UserData": base64.b64encode(user_data(bench, stores, digest).encode()).decode(),
        "IamInstanceProfile": {"Arn": bench.profile("stock-launch")},
    }
    aws.ec2.create_launch_template(LaunchTemplateName=GROUP, LaunchTemplateData=template)
    labels = {CONTRACT.tags["project"]: CONTRACT.project, CONTRACT.tags["environment"]: ENVIRONMENT}
    hook: Any = {
        "LifecycleHookName": CONTRACT.lifecycle_hooks.launch,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": int(LAUNCH_SECONDS),
        "DefaultResult": "ABANDON",
    }
    aws.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP, MinSize=0, MaxSize=1, DesiredCapacity=1, AvailabilityZones=[f"{REGION}a"],
        LaunchTemplate={"LaunchTemplateName": GROUP, "Version": "1"}, LifecycleHookSpecificationList=[hook],
        Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in labels.items()],
    )  # fmt: skip
    yield wait(bench)
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
    bench.look_until(lambda: not bench.look(), "the removal")


def publish(bench: Bench, stores: data.DataTier, folder: Path) -> str:
    """Create what bootstrap, Terraform and the driver create in an account; returns the release's collection digest."""
    aws, environment = bench.aws, settings.load(WHERE, ENVIRONMENT)
    bucket, uploads = CONTRACT.artifact_bucket(aws.identity.account, REGION), "stock-launch-uploads"
    for name in (bucket, uploads):
        aws.s3.create_bucket(Bucket=name)
    archive = collection.build(WHERE.repository, folder)
    context = Context(WHERE, environment, CONTRACT, aws, {}, ())
    release.publish(context, release.Release(RELEASE, archive.sha256, "none", archive.path))
    variables = role_variables.read(WHERE, environment)
    store = model.find(locations.locate(WHERE).cache)
    assert store, "the lab's model does not exist"
    serving = serving_settings.read(WHERE, environment)
    model_set.ModelSet(context, serving, model_set.store(store.folder)).publish(variables["lab_models"])
    secrets = {
        "administrator": json.dumps({"email": "administrator@ollama-gpu.test", "password": "a long password"}),
        "cache": json.dumps({"auth_token": SECRETS.cache_token}),
        "database": json.dumps({"username": "open_webui", "password": "another-long-password"}),
        "sign_on": json.dumps({"client_secret": ""}),
        "webui_secret_key": "k" * 48,
    }
    for key, value in secrets.items():
        aws.secretsmanager.create_secret(Name=CONTRACT.secret(key, ENVIRONMENT), SecretString=value)
    master = json.dumps({"username": SECRETS.master_username, "password": SECRETS.master_password})
    master_secret = aws.secretsmanager.create_secret(Name="stock-launch-master", SecretString=master)["ARN"]
    (database, port), (cache, cache_port) = stores.database, stores.cache
    fabric = {
        "artifacts": bucket,
        "cache": {"host": cache, "port": cache_port},
        "database": {"host": database, "port": port, "name": "open_webui", "master_secret_arn": master_secret},
        "environment": ENVIRONMENT,
        "log_groups": {key: CONTRACT.log_group(key, ENVIRONMENT) for key in CONTRACT.log_groups},
        "region": REGION,
        "secrets": {key: CONTRACT.secret(key, ENVIRONMENT) for key in CONTRACT.secrets},
        "uploads": {"bucket": uploads},
        "url": "https://chat.ollama-gpu.test",
    }
    aws.ssm.put_parameter(Name=CONTRACT.parameter("fabric", ENVIRONMENT), Value=json.dumps(fabric), Type="String")
    return archive.sha256


def user_data(bench: Bench, stores: data.DataTier, digest: str) -> str:
    """The launch template's user data as in `user_data.tf`; Terraform's plan tests check the description's form."""
    port = str(bench.aws.endpoint).rsplit(":", 1)[1]
    description = {
        "artifact_bucket": CONTRACT.artifact_bucket(bench.aws.identity.account, REGION),
        "collection_key": CONTRACT.artifacts["collection"],
        "collection_sha256": digest,
        "drain_seconds": 110,
        "endpoint_url": f"http://aws:{port}",
        "environment": ENVIRONMENT,
        "fleet": "interactive",
        "group": GROUP,
        "launch_wait_seconds": int(LAUNCH_SECONDS),
        "lifecycle_hooks": CONTRACT.lifecycle_hooks.model_dump(),
        "parameters": {key: CONTRACT.parameter(key, ENVIRONMENT) for key in ("fabric", "models")},
        "region": REGION,
        "release": RELEASE,
        "variables": {
            **role_variables.read(WHERE, settings.load(WHERE, ENVIRONMENT)),
            "boot_store_authorities": stores.authority.read_text(encoding="utf-8"),
        },
    }
    values = {
        "boot.description": CONTRACT.boot.description,
        "boot.program": CONTRACT.boot.program,
        "instance": json.dumps(description),
        "program": base64.b64encode(gzip.compress(PROGRAM.read_bytes())).decode(),
    }
    text = USER_DATA.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text
    return text


def wait(bench: Bench) -> Launched:
    """Do the follower's rounds until the group has accepted or abandoned the instance."""
    identifier, states = "", list[str]()
    deadline = time.monotonic() + LAUNCH_SECONDS
    while time.monotonic() < deadline:
        bench.look()
        group = bench.aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
        for member in group[0]["Instances"]:
            identifier = identifier or member["InstanceId"]
            if member["InstanceId"] == identifier and [*states[-1:]] != [member["LifecycleState"]]:
                states.append(member["LifecycleState"])
        there = [member["InstanceId"] for member in group[0]["Instances"]]
        if identifier and (identifier not in there or not states[-1].startswith("Pending")):
            break
        time.sleep(2)
    assert bench.settings.consoles
    console = bench.settings.consoles / f"{identifier}.log"
    if identifier and identifier not in there:  # an abandoned instance is shut down, and leaves its console log
        bench.look_until(lambda: not any(identifier in name for name in bench.names()), "the removal", 90)
        return Launched(identifier, states, {}, console.read_text(encoding="utf-8", errors="replace"))
    timeline = bench.inside(identifier, "cat /var/lib/ollama-gpu/boot/timeline.json", check=False)
    log = bench.inside(identifier, "cat /var/log/cloud-init-output.log", check=False)
    return Launched(identifier, states, json.loads(timeline or "{}"), log)


def test_the_instance_completes_the_groups_launch_hook_itself(bench: Bench, launched: Launched) -> None:
    for step in launched.timeline.get("steps", []):
        print(f"{step['seconds']:7.1f} s  {step['result']:8} {step['step']} {step['cause']}")
    print(f"{launched.timeline.get('seconds')} s in total")
    assert launched.states[-1] == "InService", launched.log[-6000:]
    assert launched.timeline["result"] == "ok"
    assert launched.timeline["release"] == RELEASE
    assert f"reported to the group {GROUP}: CONTINUE" in launched.log
    assert any(step["step"].endswith("install") for step in launched.timeline["steps"]), "incomplete play"


def test_it_serves_at_its_front_door(bench: Bench, launched: Launched) -> None:
    address = bench.look()[launched.instance]
    port = CONTRACT.ports["front_door"]
    curl = f"curl -sk -o /dev/null -w '%{{http_code}}' https://{address}:{port}{CONTRACT.health['instance']}"
    assert bench.inside(launched.instance, curl) == "200"


def test_no_secret_is_in_its_logs_or_user_data(bench: Bench, launched: Launched) -> None:
    places_to_look = {
        "user data": bench.imds(launched.instance, "user-data"),
        "console": launched.log,
        "journal": bench.inside(launched.instance, "journalctl --no-pager --output cat"),
    }
    secrets = [SECRETS.master_password]
    for key in ("administrator", "cache", "database", "webui_secret_key"):
        value = bench.aws.secretsmanager.get_secret_value(SecretId=CONTRACT.secret(key, ENVIRONMENT))["SecretString"]
        secrets.append(list(json.loads(value).values())[-1] if value.startswith("{") else value)
    assert all(places_to_look.values())
    assert [where for where, text in places_to_look.items() for secret in secrets if secret in text] == []
