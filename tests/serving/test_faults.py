"""Faults while users chat: how long they affect users, and that no saved data is lost.

The group's health check is suspended where a test reverts its fault: the instance must then recover and not be
replaced. The instance of the test that kills one is replaced; only this test is part of `make test`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.conftest import Serving
from tests.serving.fleet import (
    ROTATION_SECONDS,
    WHOLE_SECONDS,
    causes,
    healthz,
    open_webui_is_ready,
    serves_again,
    suspended,
    unit,
    until,
    whole,
)
from tests.serving.report import Report
from tests.serving.traffic import traffic

OLLAMA, GATEWAY = "ollama@0.service", "haproxy.service"
MIB = 1 << 20
LEAK = Path(__file__).with_name("leak.py")


@pytest.fixture
def no_replacements(serving: Serving, steady: None) -> Iterator[None]:
    with suspended(serving, "HealthCheck"):
        yield


@pytest.mark.fault
def test_a_lost_metadata_service_fails_no_chat(
    serving: Serving, token: str, instance: str, report: Report, no_replacements: None
) -> None:
    metadata = f"{serving.container(instance)}-metadata"
    since = serving.run(instance, "date", "+%F %T")

    def reported(result: str) -> bool:
        lines = serving.run(instance, "journalctl", "--no-pager", "--unit=ollama-gpu-drain", f"--since={since}")
        return f"step=metadata result={result}" in lines

    with traffic(serving.chat_address, token) as users:
        began = time.monotonic()
        serving.docker.output("pause", metadata)
        try:
            until(lambda: reported("failed"), "report of the lost metadata service", 30)
        finally:
            serving.docker.output("unpause", metadata)
        until(lambda: reported("ok"), "report of its return", 90)
        figures = users.settle(began, 120)
    report("metadata service gone", figures)
    assert not figures.failed


@pytest.mark.fault
@pytest.mark.parametrize(("name", "unit_name"), [("Ollama killed", OLLAMA), ("gateway killed", GATEWAY)])
def test_a_killed_service_restarts(
    serving: Serving, token: str, instance: str, report: Report, no_replacements: None, name: str, unit_name: str
) -> None:
    before = unit(serving, instance, unit_name, "MainPID")
    with traffic(serving.chat_address, token) as users:
        began = time.monotonic()
        serving.run(instance, "systemctl", "kill", "--signal=KILL", unit_name)
        back = until(lambda: serves_again(serving, instance, unit_name, before), f"new {unit_name}", 90)
        report(name, users.settle(began, 120), instance_ready=back)
    serving.run(instance, "systemctl", "reset-failed", unit_name)  # systemd gives up after five deaths in an hour


@pytest.mark.fault
def test_an_ollama_out_of_memory_restarts(
    serving: Serving, token: str, instance: str, report: Report, no_replacements: None
) -> None:
    """A leak reaches the unit's memory limit, and the kernel kills the largest process: the model's."""
    before = _engines(serving, instance)
    largest = before[0]
    used = int(unit(serving, instance, OLLAMA, "MemoryCurrent"))

    def limit(value: str) -> None:
        serving.run(instance, "systemctl", "set-property", "--runtime", OLLAMA, f"MemoryMax={value}")

    with traffic(serving.chat_address, token) as users:
        began = time.monotonic()
        limit(str(used + 64 * MIB))
        try:
            leaked = _leak(serving, instance, largest)
        finally:
            limit("infinity")
        assert "killed" in leaked
        back = until(lambda: _has_all_again(serving, instance, before), "new process with the model", 90)
        report("Ollama out of memory", users.settle(began, 150), model_loaded=back)
    serving.run(instance, "systemctl", "reset-failed", OLLAMA)


@pytest.mark.fault
def test_a_killed_open_webui_restarts(
    serving: Serving, token: str, instance: str, report: Report, no_replacements: None
) -> None:
    inspect = ("docker", "inspect", "--format", "{{.Id}} {{.State.Running}}", "open-webui-8081")
    before = serving.run(instance, *inspect).split()[0]

    def replaced_process() -> bool:
        identity, _, running = serving.try_run(instance, *inspect).partition(" ")
        return running == "true" and identity != before and _ready(serving, instance)

    with traffic(serving.chat_address, token) as users:
        began = time.monotonic()
        serving.run(instance, "docker", "kill", "open-webui-8081")
        back = until(replaced_process, "new process of Open WebUI", 120)
        report("Open WebUI's process killed", users.settle(began, 150), process_ready=back)


@pytest.mark.fault
def test_a_stuck_ollama_leaves_the_rotation(
    serving: Serving, token: str, instance: str, report: Report, no_replacements: None
) -> None:
    with traffic(serving.chat_address, token) as users:
        began = time.monotonic()
        serving.run(instance, "systemctl", "kill", "--signal=STOP", OLLAMA)
        try:
            out = until(
                lambda: instance not in serving.healthy(), f"removal of {instance} from the rotation", ROTATION_SECONDS
            )
            figures = users.settle(began, out + 60)
            assert "11500" in " ".join(causes(serving, instance))
        finally:
            serving.run(instance, "systemctl", "kill", "--signal=CONT", OLLAMA)
        back = time.monotonic()
        returned = until(lambda: instance in serving.healthy(), f"return of {instance}", ROTATION_SECONDS)
        assert not users.settle(back, returned + 60).failed
    report("Ollama stuck", figures, out_of_rotation=out, in_rotation_after_it_goes_on=returned)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("name", "program", "other"),
    [("Redis restarted", "redis-server", "postgres"), ("PostgreSQL restarted", "postgres", "redis-server")],
)
def test_instances_reconnect_to_a_restarted_store(
    serving: Serving,
    token: str,
    report: Report,
    no_replacements: None,
    name: str,
    program: str,
    other: str,
) -> None:
    """The store crashes and restarts after five seconds; the other one keeps running."""

    def process(of: str) -> str:
        found = serving.docker.output("exec", serving.stores, "sh", "-c", f"pgrep --oldest {of} || true")
        return found.strip()

    before, bystander = process(program), process(other)
    with traffic(serving.chat_address, token) as users:
        began = time.monotonic()
        serving.docker.output("exec", serving.stores, "kill", "-KILL", before)
        until(lambda: process(program) not in ("", before), f"new {program}", 60)
        report(name, users.settle(began, 120))
    assert process(other) == bystander


@pytest.mark.fault
def test_an_instance_with_a_full_disk_leaves_the_rotation_before_chats_fail(
    serving: Serving, token: str, instance: str, report: Report, no_replacements: None
) -> None:
    """Fills Open WebUI's disk completely; it is a small separate disk, because / belongs to this machine."""
    settings, disk = "/etc/ollama-gpu/health.json", "/var/lib/open-webui"
    kept = serving.run(instance, "cat", settings)

    def watch(text: str) -> None:
        serving.docker.output("exec", "-i", serving.container(instance), "tee", settings, text=text + "\n")
        serving.run(instance, "systemctl", "restart", "ollama-gpu-health")

    def restarted(command: str) -> None:
        serving.run(instance, "sh", "-ec", f"systemctl stop 'open-webui@*'; {command}; systemctl start open-webui@8081")

    owner = serving.run(instance, "stat", "--format=%u", f"{disk}/8081")
    try:
        restarted(f"mount -t tmpfs -o size=600m disk {disk}; install -d -o {owner} -m 700 {disk}/8081")
        watch(json.dumps(json.loads(kept) | {"disk_paths": ["/", disk]}))
        until(lambda: _ready(serving, instance), "readiness with the disk", ROTATION_SECONDS)
        with traffic(serving.chat_address, token) as users:
            began = time.monotonic()
            serving.try_run(instance, "dd", "if=/dev/zero", f"of={disk}/fill", "bs=1M", "status=none")
            assert serving.run(instance, "df", "--output=avail", disk).split()[-1] == "0"
            out = until(lambda: healthz(serving, instance) == "503", "refusal of the health check", 45)
            assert any(disk in cause for cause in causes(serving, instance))
            serving.run(instance, "rm", f"{disk}/fill")
            until(lambda: healthz(serving, instance) == "200", "return of the health check", 45)
            figures = users.settle(began, 150)
        report("disk full", figures, refused_health_check=out)
        assert not figures.failed
    finally:
        watch(kept)
        restarted(f"umount --lazy {disk}")  # a process of a container that just ended may still use it
        until(lambda: _ready(serving, instance), "readiness without the disk", ROTATION_SECONDS)


def test_a_dead_instance_is_replaced(serving: Serving, token: str, instance: str, report: Report) -> None:
    before = serving.instances()
    with traffic(serving.chat_address, token) as users:
        began = time.monotonic()
        serving.docker.output("kill", serving.container(instance))
        out = until(
            lambda: instance not in serving.healthy(), f"removal of {instance} from the rotation", ROTATION_SECONDS
        )
        figures = users.settle(began, out + 60)
        until(lambda: instance not in serving.instances() and whole(serving), "replacement", WHOLE_SECONDS)
        replaced = time.monotonic() - began
        later = users.settle(time.monotonic(), 60)
    report("instance killed", figures, out_of_rotation=out, replaced=replaced)
    assert not later.failed
    assert len(set(serving.instances()) - set(before)) == 1
    activities = serving.context.aws.autoscaling.describe_scaling_activities(AutoScalingGroupName=serving.group)
    reasons = [each["Cause"] for each in activities["Activities"] if instance in each["Description"]]
    assert any("ELB system health check failure" in reason for reason in reasons), reasons


def _ready(serving: Serving, instance: str) -> bool:
    """Whether the health check passes and Open WebUI's process has its stores."""
    return healthz(serving, instance) == "200" and open_webui_is_ready(serving, instance)


def _engines(serving: Serving, instance: str) -> list[str]:
    """Pids of the processes that hold Ollama's models, one per model, the largest first."""
    server = unit(serving, instance, OLLAMA, "MainPID")
    return serving.try_run(instance, "ps", "--ppid", server, "--sort=-rss", "--format=pid=").split()


def _leak(serving: Serving, instance: str, victim: str) -> str:
    """Allocate memory in Ollama's unit until the process ``victim`` is gone; returns the output of `leak`."""
    group = unit(serving, instance, OLLAMA, "ControlGroup")
    # cgroup v1 has the first path, v2 the second.
    controller = serving.try_run(instance, "ls", "-d", "/sys/fs/cgroup/memory") or "/sys/fs/cgroup"
    arguments = (f"{controller}{group}/cgroup.procs", victim, "2048")
    return serving.docker.output(
        "exec", "--interactive", serving.container(instance), "python3", "-", *arguments,
        text=LEAK.read_text(encoding="utf-8"),
    )  # fmt: skip


def _has_all_again(serving: Serving, instance: str, before: list[str]) -> bool:
    """Whether the same number of models is loaded as before, the largest of them by another process."""
    now = _engines(serving, instance)
    return len(now) == len(before) and before[0] not in now and healthz(serving, instance) == "200"
