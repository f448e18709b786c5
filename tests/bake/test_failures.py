"""A failing bake names the failed task and its cause, and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ollama_gpu.bake.builders import Maker
from tests.bake.conftest import BIN, Bench, docker
from tests.bake.waiting import wait_for

BURN = """
- name: Burn the disk
  ansible.builtin.command: sh -c 'grep " /var/lib/docker " /proc/self/mountinfo; echo the disk is on fire >&2; exit 7'
  changed_when: false
"""
LOSE = """
- name: Lose the host
  ansible.builtin.command: docker rm --force {{ ansible_host }}
  delegate_to: localhost
  changed_when: false
"""
LEAVE_A_KEY = """
- name: Make a folder
  ansible.builtin.file:
    path: /etc/ssh
    state: directory
    mode: "0755"

- name: Leave a host key
  ansible.builtin.copy:
    content: x
    dest: /etc/ssh/ssh_host_ed25519_key
    mode: "0600"
"""
DOCKER = ["ollama.gpu.docker"]


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(bench: Bench) -> Iterator[None]:
    before = bench.images
    yield
    assert bench.builders == []
    assert bench.images == before
    wait_for(lambda: guards(bench) == [], "no guard is left", 30)


def guards(bench: Bench) -> list[Path]:
    """Plans of bakes that have something to remove, and logs of their guards."""
    return list((bench.work / "bake").rglob("ollama-gpu-bake-*"))


def with_fault(bench: Bench, tmp_path: Path, edits: dict[str, Callable[[str], str]]) -> Path:
    """A copy of the checkout with edited role files."""
    tree = tmp_path / "tree"
    shutil.copytree(bench.tree, tree, symlinks=True)
    for name, edit in edits.items():
        path = tree / "ansible_collections" / "ollama" / "gpu" / "roles" / name
        path.write_text(edit(path.read_text()))
    return tree


def adding(tasks: str) -> Callable[[str], str]:
    return lambda text: text + tasks


def volumes_of(container: str) -> list[str]:
    return docker("inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", container, check=False).stdout.split()


def exists(volume: str) -> bool:
    return docker("volume", "inspect", volume, check=False).returncode == 0


def test_a_failing_task_is_named_with_its_cause_and_nothing_is_left(bench: Bench, tmp_path: Path) -> None:
    tree = with_fault(bench, tmp_path, {"docker/tasks/preflight.yml": adding(BURN)})
    run = bench.bake(tree, bake_roles=DOCKER)
    assert run.status != 0
    assert "`Burn the disk` failed" in run.message
    assert "the disk is on fire" in run.message
    (volume,) = set(re.findall(r"/volumes/([0-9a-f]{64})/_data", run.output))
    assert not exists(volume)


def test_a_bake_fails_when_its_builder_is_lost(bench: Bench, tmp_path: Path) -> None:
    tree = with_fault(bench, tmp_path, {"docker/tasks/preflight.yml": adding(LOSE)})
    run = bench.bake(tree, bake_roles=DOCKER)
    assert run.status != 0
    assert "No image was made" in run.message


def test_an_image_with_a_host_key_is_refused(bench: Bench, tmp_path: Path) -> None:
    edits = {
        "image_seal/tasks/preflight.yml": adding(LEAVE_A_KEY),
        "image_seal/files/scrub.py": lambda text: text.replace('    "/etc/ssh/ssh_host_*",\n', ""),
    }
    run = bench.bake(with_fault(bench, tmp_path, edits))
    assert run.status != 0
    assert "an SSH host key" in run.message


@pytest.fixture
def running_bake(bench: Bench, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, list[str]]]:
    """A running `ollama-gpu bake` with a builder: the process, its log, the builder's volumes."""
    log = tmp_path / "log"
    options = [
        part for name in ("image_seal_paths", "bake_roles", "bake_base_image") for part in ("-e", variable(bench, name))
    ]
    process = bench.start([str(BIN / "ollama-gpu"), "bake", *options], log)
    try:
        wait_for(lambda: any(map(volumes_of, bench.builders)) or process.poll() is not None, f"a builder; {log}")
        assert process.poll() is None, log.read_text()
        yield process, log, volumes_of(bench.builders[0])
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def variable(bench: Bench, name: str) -> str:
    return Bench.json(Bench(bench.tree, bench.work, {name: bench.variables[name]}, bench.aws), {})


def test_ctrl_c_removes_the_builder_before_the_command_ends(
    bench: Bench, running_bake: tuple[subprocess.Popen[str], Path, list[str]]
) -> None:
    process, log, volumes = running_bake
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130, log.read_text()
    assert "interrupted, removing the builder" in log.read_text()
    assert bench.builders == []
    assert volumes
    assert not any(map(exists, volumes))


def test_the_guard_removes_the_builder_of_a_killed_bake(
    bench: Bench, running_bake: tuple[subprocess.Popen[str], Path, list[str]]
) -> None:
    process, _, volumes = running_bake
    os.killpg(process.pid, signal.SIGKILL)
    wait_for(lambda: not bench.builders and not any(map(exists, volumes)), "the builder is gone", 60)


def test_the_next_bake_removes_its_own_leftover_builders_only(bench: Bench) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    running = Maker(socket.gethostname(), os.getpid(), int(psutil.Process().create_time()))
    dead = replace(running, pid=ended.pid)
    left = create_container(bench, f"ollama-gpu-bake-local-{ended.pid}", dead.label, str(bench.work))
    others = create_container(bench, "ollama-gpu-bake-local-1", running.label, "/another user/elses")
    try:
        plan = bench.ask(
            "plan", request={"roles": [], "variables": {}, "base_image": bench.variables["bake_base_image"]}
        )
        assert left in plan["leftovers"]
        assert others not in plan["leftovers"]
    finally:
        docker("rm", "--force", left, others)


def create_container(bench: Bench, name: str, maker: str, work: str) -> str:
    labels = ("--label", f"ollama-gpu.bake={maker}", "--label", f"ollama-gpu.work={work}")
    docker("create", "--name", name, *labels, bench.variables["bake_base_image"])
    return name


def test_an_unknown_environment_is_refused_with_a_message(bench: Bench) -> None:
    run = bench.bake(env="nowhere")
    assert run.status != 0
    assert "There is no environment `nowhere`" in run.message
