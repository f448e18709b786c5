"""The result of one bake of every role: a published image, made only once, and a working instance of it."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bake.conftest import CONTRACT, ROOT, Bench, Run, docker
from tests.bake.waiting import wait_for

COLLECTION = "/usr/share/ollama-gpu/collections/ansible_collections/ollama/gpu"


def report(bench: Bench, name: str) -> tuple[set[str], int]:
    """The files whose tests passed in a bake, and the number of failed tests."""
    cases = list(ElementTree.parse(bench.work / "bake" / "local" / f"test-{name}.xml").getroot().iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    good = [case for case in cases if case.find("skipped") is None]
    return {case.attrib["classname"].rpartition(".")[2] for case in good}, len(bad)


def test_the_environment_starts_from_the_new_image(full_bench: Bench, made: Run) -> None:
    assert f"({full_bench.published})" in made.message.replace("\n", " ")
    assert full_bench.images == {full_bench.container_image}


def test_the_builder_is_gone(full_bench: Bench, made: Run) -> None:
    assert full_bench.builders == []


def test_the_host_passed_the_tests_of_its_roles(full_bench: Bench, made: Run) -> None:
    files, failed = report(full_bench, "host")
    assert failed == 0
    # The other files contain only tests that need a GPU, secrets or the agent.
    assert {"test_ollama", "test_model_store", "test_open_webui", "test_gateway", "test_drain", "test_boot"} <= files


def test_the_sealed_image_passed_its_tests(full_bench: Bench, made: Run) -> None:
    assert report(full_bench, "image") == ({"test_image"}, 0)


def test_a_second_bake_finds_the_image_and_does_nothing(full_bench: Bench, made: Run) -> None:
    before = full_bench.published, full_bench.images
    again = full_bench.bake(folder="playbooks")
    assert again.status == 0, again.output
    assert "nothing has to be done" in again.output
    assert (full_bench.published, full_bench.images) == before
    assert again.seconds < 60


def test_force_and_other_variables_make_another_image(full_bench: Bench, made: Run) -> None:
    paths = {"image_seal_paths": full_bench.variables["image_seal_paths"]}
    roles = [f"ollama.gpu.{path.stem.removeprefix('test_')}" for path in sorted((ROOT / "tests" / "host").glob("*.py"))]
    plans = [
        full_bench.ask("plan", request={"roles": roles, "variables": variables, "force": force})
        for variables, force in ((paths, True), ({**paths, "ollama_num_parallel": 7}, False))
    ]
    assert [plan["action"] for plan in plans] == ["build", "build"]
    assert len({plan["container_image"] for plan in plans} | full_bench.images) == 3


def test_an_image_lost_from_aws_is_registered_again_without_a_bake(full_bench: Bench, made: Run) -> None:
    container = full_bench.container_image
    full_bench.aws.ec2.deregister_image(ImageId=full_bench.published)
    run = full_bench.bake()
    assert run.status == 0, run.output
    assert "its container image exists" in run.output
    assert full_bench.container_image == container


@pytest.fixture(scope="module")
def instance(full_bench: Bench, made: Run) -> Iterator[str]:
    """An instance of the image as in the lab, with an empty volume and no access to a registry."""
    name = f"test-bake-{os.getpid()}"
    docker(
        "run", "--detach", "--name", name, "--network", "none", "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN",
        "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--tmpfs", "/run",
        "--tmpfs", "/run/lock", "--tmpfs", "/tmp", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--cgroupns", "host",  # noqa: S108
        "--volume", "/var/lib/docker", full_bench.container_image,
    )  # fmt: skip
    wait_for(lambda: inside(name, "systemctl", "is-system-running") in ("running", "degraded"), "it has booted")
    yield name
    docker("rm", "--force", "--volumes", name)


def inside(name: str, *command: str) -> str:
    return docker("exec", name, *command, check=False).stdout.strip()


@pytest.fixture(scope="module")
def manifest(instance: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(inside(instance, "cat", "/etc/ollama-gpu/image.json"))
    return found


def test_no_unit_has_failed_in_an_instance(instance: str) -> None:
    assert inside(instance, "systemctl", "list-units", "--failed", "--plain", "--no-legend") == ""


def test_an_instance_has_its_container_images_without_a_registry(instance: str, supplies: dict[str, Any]) -> None:
    assert (
        inside(instance, "systemctl", "is-active", "ollama-gpu-docker-data.service", "docker.service").split()
        == ["active"] * 2
    )
    assert (
        docker("exec", instance, "docker", "image", "inspect", supplies["lab_open_webui_image"], check=False).returncode
        == 0
    )


def test_an_instance_has_a_unique_machine_id(instance: str) -> None:
    assert len(inside(instance, "cat", "/etc/machine-id")) == 32


def test_an_instance_does_not_count_as_a_builder(full_bench: Bench, instance: str) -> None:
    assert full_bench.builders == []


def test_no_unit_serves_before_the_boot_starts_it(instance: str) -> None:
    assert inside(instance, "systemctl", "list-units", "--plain", "--no-legend", "ollama@*", "open-webui@*") == ""


def test_the_manifest_describes_the_image(
    full_bench: Bench, manifest: dict[str, Any], supplies: dict[str, Any], made: Run
) -> None:
    (image,) = full_bench.aws.ec2.describe_images(ImageIds=[full_bench.published])["Images"]
    tags = {each["Key"]: each["Value"] for each in image["Tags"]}
    assert manifest["name"] == image["Name"]
    assert manifest["content_key"] == tags["ImageKey"]
    assert manifest["git_commit"] + ("-dirty" if manifest["git_dirty"] else "") == tags["Release"]
    assert manifest["versions"]["ollama"] == supplies["lab_ollama_version"]
    there = {name for name, version in manifest["versions"].items() if version}
    # The GPU's software and the agent are not available here; the kernel is the host's.
    assert there >= set(manifest["versions"]) - {"nvidia_driver", "cuda", "cloudwatch_agent"}
    assert manifest["models"] == {each["name"]: each["digest"] for each in supplies["lab_models"]}
    assert supplies["lab_open_webui_image"] in manifest["container_images"]


def test_the_manifests_collection_is_the_one_in_the_image(
    full_bench: Bench, instance: str, manifest: dict[str, Any]
) -> None:
    archive = full_bench.work / "bake" / "ollama-gpu-collection.tar.gz"
    assert manifest["collection_sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(archive) as packed:
        listed = packed.extractfile("FILES.json")
        assert listed is not None
        files = json.load(listed)["files"]
    wanted = sorted(f"{each['chksum_sha256']}  ./{each['name']}" for each in files if each["ftype"] == "file")
    there = inside(instance, "sh", "-c", f"cd {COLLECTION} && find . -type f -exec sha256sum {{}} +").splitlines()
    assert set(wanted) <= set(there)


# Pruning, with nearly empty images


@pytest.fixture
def old_images(full_bench: Bench, made: Run, tmp_path: Path) -> dict[str, str]:
    """Image ids of four old images, keyed by what uses them."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    made_of = {}
    for use in ("instance", "template", "release", "nothing"):
        key = f"test-{use}-{os.getpid()}"
        labels = (f"ollama-gpu.image-key={key}", f"ollama-gpu.work={full_bench.work}")
        docker(
            "build",
            "--quiet",
            *(part for label in labels for part in ("--label", label)),
            "--tag",
            f"ollama-gpu/host:{key}",
            str(tmp_path),
        )
        tags = {"Project": CONTRACT.project, "Environment": "local", "ImageKey": key}
        made_of[use] = full_bench.ask(
            "register", "--name", key, "--container", f"ollama-gpu/host:{key}", "--tags", json.dumps(tags)
        )["image_id"]
    return made_of


def test_pruning_keeps_images_in_use_or_needed_for_a_rollback(full_bench: Bench, old_images: dict[str, str]) -> None:
    aws = full_bench.aws
    full = full_bench.container_image
    launched = aws.ec2.run_instances(ImageId=old_images["instance"], MinCount=1, MaxCount=1)["Instances"][0]
    aws.ec2.create_launch_template(LaunchTemplateName="old", LaunchTemplateData={"ImageId": old_images["template"]})
    bucket = CONTRACT.artifact_bucket(aws.identity.account, aws.region)
    aws.s3.create_bucket(Bucket=bucket)
    record = CONTRACT.artifacts["record"].format(environment="local", release="r1")
    aws.s3.put_object(Bucket=bucket, Key=record, Body=json.dumps({"image": old_images["release"]}).encode())

    def kept() -> set[str]:
        return {image.rpartition(":")[2].split("-")[1] for image in full_bench.images - {full}}

    removed = full_bench.ask("prune", "--keep", "0")["removed"]
    assert any(old_images["nothing"] in each for each in removed)
    assert kept() == {"instance", "template", "release"}

    aws.ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])
    aws.ec2.delete_launch_template(LaunchTemplateName="old")
    aws.s3.delete_object(Bucket=bucket, Key=record)
    full_bench.ask("prune", "--keep", "0")
    assert kept() == set()
    assert full_bench.images == {full}  # published
