"""Slots: the commands for HAProxy when targets register, move and deregister, and the health of targets."""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.local.lab.front_door import health, metrics, slots
from ollama_gpu.local.lab.front_door.slots import NOWHERE, STEP, Plan, Slot, Slots
from ollama_gpu.local.lab.front_door.stats import BACKEND as TOTAL
from ollama_gpu.local.lab.front_door.stats import Row, parse
from ollama_gpu.local.lab.front_door.view import FrontDoorView, Target, TargetGroup

from .front_door_views import front_door, target_group

BACKEND = "lab-interactive.0011"
HEADER = (
    "# pxname,svname,scur,stot,status,lastchg,check_status,check_health,"
    "hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,req_tot,rtime\n"
)


def row(status: str = "MAINT", **changes: object) -> Row:
    values: dict[str, object] = {
        "sessions": 0, "requests": 0, "since": 0, "check_status": "", "passed": 0,
        "responses": dict.fromkeys(range(1, 6), 0), "response_seconds": 0.0,
    }  # fmt: skip
    return Row(status=status, **{**values, **changes})  # type: ignore[arg-type]


def rows(*first: Row) -> dict[tuple[str, str], Row]:
    every = [*first, *(row() for _ in range(STEP - len(first)))]
    return {(BACKEND, slots.name(number)): each for number, each in enumerate(every, 1)}


def view(*instances: str, **changes: object) -> FrontDoorView:
    targets = tuple(Target(each, 8443, "healthy") for each in instances)
    return front_door(target_group(targets=targets, **changes))


def plan(
    seen: FrontDoorView, addresses: dict[str, str], taken: Slots, found: dict[tuple[str, str], Row], now: float = 100.0
) -> Plan:
    return slots.plan(seen, addresses, taken, found, now)


def states(seen: FrontDoorView, taken: Slots, found: dict[tuple[str, str], Row]) -> list[tuple[str, str | None]]:
    return [(each.state, each.reason) for each in health.judge(seen, taken, found)]


def test_new_target_gets_no_request_before_its_first_check() -> None:
    planned = plan(view("i-1"), {"i-1": "10.0.0.1"}, {}, rows())
    assert planned.commands == (
        f"set server {BACKEND}/slot1 addr 10.0.0.1 port 8443",
        f"set server {BACKEND}/slot1 state ready",
        f"set server {BACKEND}/slot1 health down",
    )
    assert planned.slots == {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443)}}
    assert states(view("i-1"), planned.slots, rows(row("DOWN"))) == [("initial", "Elb.InitialHealthChecking")]


def test_target_without_an_address_gets_no_slot() -> None:
    planned = plan(view("i-1"), {}, {}, rows())
    assert planned.commands == ()
    assert states(view("i-1"), planned.slots, rows()) == [("initial", "Elb.RegistrationInProgress")]


def test_one_successful_check_admits_only_a_new_target() -> None:
    once_good = rows(row("DOWN 1/2", passed=1, check_status="L7OK"))
    new, unhealthy = ({BACKEND: {1: Slot("i-1", "10.0.0.1", 8443, proven)}} for proven in (False, True))
    addresses = {"i-1": "10.0.0.1"}
    assert plan(view("i-1"), addresses, new, once_good).commands == (f"set server {BACKEND}/slot1 health up",)
    assert plan(view("i-1"), addresses, unhealthy, once_good).commands == ()


def test_target_that_never_was_healthy_is_unhealthy_after_the_threshold() -> None:
    taken = {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443)}}
    addresses = {"i-1": "10.0.0.1"}
    for since, expected in ((44, "initial"), (45, "unhealthy")):  # three checks, 15 seconds apart
        found = rows(row("DOWN", since=since, check_status="L4TOUT"))
        planned = plan(view("i-1"), addresses, taken, found)
        assert states(view("i-1"), planned.slots, found)[0][0] == expected


def test_reason_follows_the_check() -> None:
    taken = {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443, proven=True)}}
    for check, reason in {
        "L4CON": "Target.FailedHealthChecks",
        "L4TOUT": "Target.Timeout",
        "L7TOUT": "Target.Timeout",
        "L7STS": "Target.ResponseCodeMismatch",
    }.items():
        assert states(view("i-1"), taken, rows(row("DOWN", check_status=check))) == [("unhealthy", reason)]
    assert states(view("i-1"), taken, rows(row("UP 1/2"))) == [("healthy", None)]


def test_target_without_its_address_gets_no_requests_at_the_old_one() -> None:
    taken = {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443, proven=True)}}
    planned = plan(view("i-1"), {}, taken, rows(row("UP")))
    assert planned.commands == (f"set server {BACKEND}/slot1 addr {NOWHERE[0]} port {NOWHERE[1]}",)
    back = plan(view("i-1"), {"i-1": "10.0.0.9"}, planned.slots, rows(row("DOWN")))
    assert back.commands == (f"set server {BACKEND}/slot1 addr 10.0.0.9 port 8443",)


def test_deregistered_target_drains_until_its_last_stream_ends() -> None:
    taken: Slots = {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443, proven=True)}}
    left = plan(view(), {"i-1": "10.0.0.1"}, taken, rows(row("UP", sessions=1)))
    assert left.commands == (f"set server {BACKEND}/slot1 state maint",)
    assert states(view(), left.slots, rows()) == [("draining", "Target.DeregistrationInProgress")]
    streaming = plan(view(), {}, left.slots, rows(row(sessions=1)), now=219.0)
    assert (streaming.slots, streaming.commands) == (left.slots, ())
    assert plan(view(), {}, left.slots, rows(row()), now=101.0) == Plan({BACKEND: {}}, ())


def test_stream_beyond_the_deregistration_delay_is_cut() -> None:
    left = {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443, True, draining_since=100.0)}}
    planned = plan(view(), {}, left, rows(row(sessions=1)), now=220.0)
    assert planned == Plan({BACKEND: {}}, (f"shutdown sessions server {BACKEND}/slot1",))


def test_draining_target_that_registers_again_starts_as_new() -> None:
    left = {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443, True, draining_since=100.0)}}
    planned = plan(view("i-1"), {"i-1": "10.0.0.1"}, left, rows(row(sessions=1)), now=101.0)
    assert planned.slots[BACKEND][2] == Slot("i-1", "10.0.0.1", 8443)
    assert states(view("i-1"), planned.slots, rows(row(), row("DOWN"))) == [("initial", "Elb.InitialHealthChecking")]


def test_target_that_is_draining_in_the_embedded_aws_gets_no_new_requests() -> None:
    group = target_group(targets=(Target("i-1", 8443, "draining"),))
    taken = {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443, proven=True)}}
    planned = plan(front_door(group), {"i-1": "10.0.0.1"}, taken, rows(row("UP", sessions=1)))
    assert planned.commands == (f"set server {BACKEND}/slot1 state maint",)


def test_there_are_twice_as_many_slots_as_targets() -> None:
    def sized(count: int) -> int:
        group: TargetGroup = view(*(f"i-{number}" for number in range(count))).target_groups[0]
        return slots.size(group, {})

    assert [sized(count) for count in (0, 8, 9, 16, 17)] == [16, 16, 32, 32, 48]


def test_slots_are_saved_and_loaded(tmp_path: Path) -> None:
    taken = {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443, True), 3: Slot("i-2", "10.0.0.2", 8443, draining_since=1.5)}}
    assert slots.load(tmp_path / "slots.json") == {}
    slots.save(taken, tmp_path / "slots.json")
    assert slots.load(tmp_path / "slots.json") == taken


def test_show_stat_is_parsed() -> None:
    text = HEADER + "lab-interactive.0011,slot1,2,7,UP 1/2,12,* L7OK,3,0,5,0,1,0,,\n"
    assert parse(text)[BACKEND, "slot1"] == row(
        "UP 1/2", sessions=2, requests=7, since=12, check_status="L7OK", passed=3,
        responses={1: 0, 2: 5, 3: 0, 4: 1, 5: 0},
    )  # fmt: skip


def test_traffic_is_the_increment_and_a_new_process_counts_from_zero() -> None:
    def reading(requests: int, good: int, bad: int) -> dict[tuple[str, str], Row]:
        answered = {**dict.fromkeys(range(1, 6), 0), 2: good}
        total = row("UP", requests=requests, responses={**answered, 5: bad}, response_seconds=0.25)
        return {(BACKEND, TOTAL): total, **rows(row("UP", responses=answered), row("DOWN"))}

    meter = metrics.Meter()
    assert meter.read(view("i-1"), reading(10, 9, 1)) == []
    (added,) = meter.read(view("i-1"), reading(14, 12, 2))
    assert (added.requests, added.answered[2], added.failed[5], added.healthy) == (4, 3, 1, 1)
    (restarted,) = meter.read(view("i-1"), reading(2, 2, 0))
    assert (restarted.requests, restarted.answered[2], restarted.failed[5]) == (2, 2, 0)
    points = {(each["MetricName"], len(each["Dimensions"])): each["Value"] for each in metrics.data(added)}
    assert points["RequestCountPerTarget", 2] == 4
    assert points["RequestCount", 1] == 4
    assert points["HTTPCode_ELB_5XX_Count", 1] == 1
    assert points["TargetResponseTime", 2] == 0.25
    assert ("HTTPCode_Target_5XX_Count", 2) not in points
