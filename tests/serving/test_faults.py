"""What breaks while people chat: how long it hurts, and that nothing saved is lost.

The group's own health check is suspended where a test takes its fault back: the instance is then to recover, not to be
replaced. The one that dies for good is replaced.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.serving.conftest import Serving
from tests.serving.traffic import Figures, Session, sign_in, traffic

WHOLE_SECONDS = 400
"""A replacement's boot on this machine's two processors, and the checks before and after it."""


@pytest.fixture(scope="module")
def token(serving: Serving) -> str:
    return sign_in(serving.door, serving.administrator)


@pytest.fixture(scope="module", autouse=True)
def _no_scaling(serving: Serving) -> Iterator[None]:
    """Users of a fault's test are not to make the fleet grow."""
    with suspended(serving, "AlarmNotification"):
        yield


@pytest.fixture(autouse=True)
def _whole(serving: Serving) -> Iterator[None]:
    """Every test finds two healthy instances, and leaves them."""
    until(lambda: whole(serving), "two healthy instances", WHOLE_SECONDS)
    yield
    until(lambda: whole(serving), "two healthy instances", WHOLE_SECONDS)


@pytest.fixture(scope="module")
def saved(serving: Serving, token: str) -> Iterator[tuple[str, str]]:
    """A chat that was saved before anything broke: its id and its text."""
    text = f"saved {time.time()}"
    session = Session(serving.door, token)
    status, answer = session.ask("POST", "/api/v1/chats/new", {"chat": {"title": text, "models": [], "messages": []}})
    assert status == 200, answer
    yield answer["id"], text
    session = Session(serving.door, token)
    session.ask("DELETE", f"/api/v1/chats/{answer['id']}")


@pytest.fixture(autouse=True)
def _nothing_is_lost(serving: Serving, token: str, saved: tuple[str, str], _whole: None) -> Iterator[None]:
    yield
    status, answer = Session(serving.door, token).ask("GET", f"/api/v1/chats/{saved[0]}")
    assert status == 200, answer
    assert answer["chat"]["title"] == saved[1]


@pytest.fixture
def instance(serving: Serving) -> str:
    """The instance that it happens to."""
    return serving.healthy()[0]


@pytest.fixture
def replaced_by_nobody(serving: Serving) -> Iterator[None]:
    with suspended(serving, "HealthCheck"):
        yield


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Callable[[Figures], None]:
    def saying(figures: Figures) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: {figures}")

    return saying


Say = Callable[[Figures], None]


@contextmanager
def suspended(serving: Serving, process: str) -> Iterator[None]:
    """One of the group's processes rests."""
    scaling = serving.context.aws.autoscaling
    scaling.suspend_processes(AutoScalingGroupName=serving.group, ScalingProcesses=[process])
    try:
        yield
    finally:
        scaling.resume_processes(AutoScalingGroupName=serving.group, ScalingProcesses=[process])


def whole(serving: Serving) -> bool:
    return len(serving.instances()) == 2 and serving.healthy() == serving.instances()


def until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds:.0f} s"
        time.sleep(0.5)


def property_of(serving: Serving, instance: str, unit: str, name: str) -> str:
    return serving.run(instance, "systemctl", "show", unit, f"--property={name}", "--value")


def healthz(serving: Serving, instance: str) -> str:
    """The status with which an instance answers the load balancer."""
    return serving.run(
        instance, "curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "https://127.0.0.1:8443/healthz"
    )


@pytest.mark.parametrize(("unit", "seconds"), [("ollama@0.service", 90), ("haproxy.service", 60)])
def test_a_killed_service_comes_back(
    serving: Serving, token: str, instance: str, say: Say, replaced_by_nobody: None, unit: str, seconds: float
) -> None:
    before = property_of(serving, instance, unit, "MainPID")
    with traffic(serving.door, token) as users:
        began = time.monotonic()
        serving.run(instance, "systemctl", "kill", "--signal=KILL", unit)
        say(users.settle(began, seconds))
    assert property_of(serving, instance, unit, "MainPID") != before
    until(lambda: healthz(serving, instance) == "200", f"readiness of {instance}", 60)
    serving.run(instance, "systemctl", "reset-failed", unit)  # five deaths in an hour are its end, rightly


def test_a_killed_open_webui_comes_back(
    serving: Serving, token: str, instance: str, say: Say, replaced_by_nobody: None
) -> None:
    asked = ("docker", "inspect", "--format", "{{.Id}}", "open-webui-8081")
    before = serving.run(instance, *asked)
    with traffic(serving.door, token) as users:
        began = time.monotonic()
        serving.run(instance, "docker", "kill", "open-webui-8081")
        say(users.settle(began, 120))
        until(lambda: healthz(serving, instance) == "200", f"readiness of {instance}", 120)
    assert serving.run(instance, *asked) != before


def test_a_stuck_ollama_leaves_the_rotation(
    serving: Serving, token: str, instance: str, say: Say, replaced_by_nobody: None
) -> None:
    with traffic(serving.door, token) as users:
        began = time.monotonic()
        serving.run(instance, "systemctl", "kill", "--signal=STOP", "ollama@0.service")
        try:
            say(users.settle(began, 150))
            until(lambda: instance not in serving.healthy(), f"end of {instance} in the rotation", 60)
            details = json.loads(serving.run(instance, "curl", "-s", "http://127.0.0.1:8406/details"))
            assert "11500" in " ".join(details["causes"]), details
        finally:
            serving.run(instance, "systemctl", "kill", "--signal=CONT", "ollama@0.service")
        back = time.monotonic()
        until(lambda: instance in serving.healthy(), f"return of {instance}", 120)
        assert not users.settle(back, 60).failed


@pytest.mark.parametrize(("program", "signal"), [("redis-server", "KILL"), ("postgres", "INT")])
def test_restarted_stores_are_found_again(
    serving: Serving, token: str, say: Say, replaced_by_nobody: None, program: str, signal: str
) -> None:
    """The lab has both in one container, which begins anew when either ends: either way both are away."""

    def began_at() -> str:
        found = serving.docker.container(serving.stores)
        assert found is not None
        return str(found["State"]["StartedAt"])

    before = began_at()
    oldest = f"$(pgrep --oldest {program})"
    with traffic(serving.door, token) as users:
        began = time.monotonic()
        serving.docker.output("exec", serving.stores, "sh", "-c", f"kill -{signal} {oldest}")
        say(users.settle(began, 90))
    assert began_at() != before


def test_nobody_notices_a_lost_metadata_service(
    serving: Serving, token: str, instance: str, say: Say, replaced_by_nobody: None
) -> None:
    keeper = f"{serving.container(instance)}-metadata"
    since = serving.run(instance, "date", "+%F %T")

    def said(result: str) -> bool:
        told = serving.run(instance, "journalctl", "--no-pager", "--unit=ollama-gpu-drain", f"--since={since}")
        return f"step=metadata result={result}" in told

    with traffic(serving.door, token) as users:
        began = time.monotonic()
        serving.docker.output("pause", keeper)
        try:
            until(lambda: said("failed"), "word of the lost metadata service", 30)
        finally:
            serving.docker.output("unpause", keeper)
        until(lambda: said("ok"), "word of its return", 90)
        figures = users.settle(began, 120)
    say(figures)
    assert not figures.failed


def test_a_full_disk_takes_the_instance_out_before_it_hurts(
    serving: Serving, token: str, instance: str, say: Say, replaced_by_nobody: None
) -> None:
    """A small disk of its own is watched in place of /, which is the whole machine's here."""
    settings, disk = "/etc/ollama-gpu/health.json", "/var/lib/trial-disk"
    kept = serving.run(instance, "cat", settings)
    watched = json.dumps(json.loads(kept) | {"disk_paths": ["/", disk]})

    def write(text: str) -> None:
        serving.docker.output("exec", "-i", serving.container(instance), "tee", settings, text=text + "\n")
        serving.run(instance, "systemctl", "restart", "ollama-gpu-health")

    try:
        serving.run(instance, "mkdir", "-p", disk)
        serving.run(instance, "mount", "-t", "tmpfs", "-o", "size=600m", "trial", disk)
        write(watched)
        until(lambda: healthz(serving, instance) == "200", "readiness with the disk", 30)
        with traffic(serving.door, token) as users:
            began = time.monotonic()
            serving.run(instance, "fallocate", "-l", "200M", f"{disk}/fill")
            until(lambda: healthz(serving, instance) == "503", "refusal of the health check", 45)
            details = json.loads(serving.run(instance, "curl", "-s", "http://127.0.0.1:8406/details"))
            assert any(disk in cause for cause in details["causes"]), details
            serving.run(instance, "rm", f"{disk}/fill")
            until(lambda: healthz(serving, instance) == "200", "return of the health check", 45)
            figures = users.settle(began, 120)
        say(figures)
        assert not figures.failed
    finally:
        write(kept)
        serving.run(instance, "umount", disk)
        serving.run(instance, "rmdir", disk)


def test_a_dead_instance_is_replaced(serving: Serving, token: str, instance: str, say: Say) -> None:
    before = serving.instances()
    with traffic(serving.door, token) as users:
        began = time.monotonic()
        serving.docker.output("kill", serving.container(instance))
        say(users.settle(began, 150))
        until(lambda: instance not in serving.healthy(), f"end of {instance} in the rotation", 60)
        until(lambda: instance not in serving.instances() and whole(serving), "a replacement in service", WHOLE_SECONDS)
        figures = users.settle(time.monotonic(), 60)
    assert not figures.failed
    assert len(set(serving.instances()) - set(before)) == 1
    told = serving.context.aws.autoscaling.describe_scaling_activities(AutoScalingGroupName=serving.group)
    causes = [each["Cause"] for each in told["Activities"] if instance in each["Description"]]
    assert any("ELB system health check failure" in cause for cause in causes), causes
