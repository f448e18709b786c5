"""`ansible-playbook bake-ami.yml` makes an image once, says why when it cannot, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bake.conftest import ROOT, Bench, Run, baked, builders, docker

UNITS = ("docker.service", "ollama-gpu-docker-data.service")


def test_the_environment_starts_from_the_new_image(bench: Bench, made: Run) -> None:
    assert f"({bench.published})" in made.message.replace("\n", " ")
    assert bench.container_image in baked()


def test_the_builder_is_gone(made: Run) -> None:
    assert builders() == []


def test_the_report_of_the_images_tests_is_kept(bench: Bench, made: Run) -> None:
    report = (bench.work / "bake" / "local" / "test-image.xml").read_text()
    assert 'failures="0"' in report
    assert 'tests="0"' not in report


def test_a_second_bake_finds_the_image_and_does_nothing(bench: Bench, made: Run) -> None:
    before = baked()
    again = bench.bake(folder="playbooks")
    assert again.status == 0, again.output
    assert "nothing has to be done" in again.output
    assert baked() == before
    assert again.seconds < made.seconds / 2


def test_a_lost_embedded_aws_gets_the_same_image_again_without_a_bake(bench: Bench, made: Run) -> None:
    container = bench.container_image
    bench.aws.ec2.deregister_image(ImageId=bench.published)
    run = bench.bake()
    assert run.status == 0, run.output
    assert "its container image exists" in run.output
    assert bench.container_image == container


def test_another_variable_of_a_role_is_another_image(bench: Bench, made: Run) -> None:
    run = bench.bake(docker_packages=["no-such-package"])
    assert run.status != 0
    assert "building it on" in run.output


@pytest.fixture(scope="module")
def instance(bench: Bench, made: Run) -> Iterator[str]:
    """An instance of the image as the lab runs one, with an empty volume and no way to a registry."""
    name = f"test-bake-{os.getpid()}"
    docker(
        "run", "--detach", "--name", name, "--network", "none", "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN",
        "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--tmpfs", "/run",
        "--tmpfs", "/run/lock", "--tmpfs", "/tmp", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--cgroupns", "host",  # noqa: S108
        "--volume", "/var/lib/docker", bench.container_image,
    )  # fmt: skip
    yield name
    docker("rm", "--force", "--volumes", name)


def inside(name: str, *command: str) -> str:
    return docker("exec", name, *command, check=False).stdout.strip()


def wait_for(condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the deadline passed"
        time.sleep(1)


@pytest.mark.parametrize("unit", UNITS)
def test_an_instance_of_it_boots(instance: str, unit: str) -> None:
    wait_for(lambda: inside(instance, "systemctl", "is-active", unit) == "active")


def test_an_instance_has_a_machine_id_of_its_own(instance: str) -> None:
    wait_for(lambda: len(inside(instance, "cat", "/etc/machine-id")) == 32)


def test_an_instance_is_no_builder(instance: str, made: Run) -> None:
    assert builders() == []


def test_an_instance_knows_what_it_was_made_of(instance: str) -> None:
    manifest = json.loads(inside(instance, "cat", "/etc/ollama-gpu/image.json"))
    assert manifest["versions"]["docker"]
    assert manifest["git_commit"]


# A tree with a fault, so that what happens then can be seen.


def copy_with(tmp_path: Path, edits: dict[str, Callable[[str], str]]) -> Path:
    tree = tmp_path / "tree"
    for name in ("ansible_collections", "contract", "playbooks", "inventories", "scripts", "terraform", "tests"):
        shutil.copytree(
            ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns(".terraform", "__pycache__")
        )
    shutil.copy(ROOT / "ansible.cfg", tree)
    for name, edit in edits.items():
        path = tree / "ansible_collections" / "ollama" / "gpu" / "roles" / name
        path.write_text(edit(path.read_text()))
    return tree


def adding(task: str) -> Callable[[str], str]:
    return lambda text: f"{text}\n{task}\n"


def test_a_failing_role_is_named_with_its_cause_and_nothing_is_left(bench: Bench, tmp_path: Path) -> None:
    broken = adding(
        "- name: Burn the disk\n  ansible.builtin.command: sh -c 'echo the disk is on fire >&2; exit 7'\n"
        "  changed_when: false"
    )
    before = baked()
    run = bench.bake(copy_with(tmp_path, {"docker/tasks/preflight.yml": broken}))
    assert run.status != 0
    assert "`Burn the disk` failed" in run.message
    assert "the disk is on fire" in run.message
    assert builders() == []
    assert baked() == before


def test_a_builder_that_is_lost_on_the_way_ends_the_bake_and_is_cleaned_up(bench: Bench, tmp_path: Path) -> None:
    lost = adding(
        "- name: Lose the host\n  ansible.builtin.command: docker rm --force {{ ansible_host }}\n"
        "  delegate_to: localhost\n  become: false\n  changed_when: false"
    )
    run = bench.bake(copy_with(tmp_path, {"docker/tasks/preflight.yml": lost}))
    assert run.status != 0
    assert "No image was made" in run.message
    assert builders() == []


def test_an_image_that_carries_a_host_key_is_refused(bench: Bench, tmp_path: Path) -> None:
    leaves = adding(
        "- name: Leave a host key\n  ansible.builtin.copy:\n    content: x\n    dest: /etc/ssh_key\n    mode: '0600'\n"
        "- name: Make its folder\n  ansible.builtin.file:\n    path: /etc/ssh\n    state: directory\n    mode: '0755'\n"
        "- name: Put it there\n  ansible.builtin.command: mv /etc/ssh_key /etc/ssh/ssh_host_ed25519_key"
    )
    before = baked()
    edits = {
        "docker/tasks/preflight.yml": leaves,
        "image_seal/files/scrub.py": lambda text: text.replace('    "/etc/ssh/ssh_host_*",\n', ""),
    }
    run = bench.bake(copy_with(tmp_path, edits))
    assert run.status != 0
    assert "an SSH host key" in run.message
    assert builders() == []
    assert baked() == before


def test_a_killed_bakes_builder_is_removed_at_the_next_start(bench: Bench, made: Run) -> None:
    bake = bench.start(force=True)
    try:
        wait_for(lambda: builders() != [])
    finally:
        os.killpg(bake.pid, signal.SIGKILL)
        bake.wait()
    assert builders() != []
    run = bench.bake()
    assert run.status == 0, run.output
    assert builders() == []


def test_a_forced_bake_is_an_image_of_its_own(bench: Bench, made: Run) -> None:
    before = bench.container_image
    run = bench.bake(force=True)
    assert run.status == 0, run.output
    assert bench.container_image != before
    assert {before, bench.container_image} <= baked()


def test_an_unknown_environment_is_refused_in_a_sentence(bench: Bench) -> None:
    run = bench.bake(env="nowhere")
    assert run.status != 0
    assert "There is no environment `nowhere`" in run.message
