"""Which server of HAProxy stands for which target, and what has to be told to HAProxy so that it stays true.

A target group's backend has more servers, called slots, than targets: one is given to an instance that comes and taken
back from one that has drained, all while HAProxy runs, so that nobody's stream is disturbed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .stats import Row
from .view import FrontDoorView, Target, TargetGroup

STEP = 16
"""Slots come by this many: a backend that needs more is a new configuration."""

NOWHERE = ("127.0.0.1", 1)
"""Where a target without an address is looked for, and refused: its old one may be another's by now."""


@dataclass(frozen=True)
class Slot:
    """A target's server. ``proven``: its first checks have found it well or ill, so that it is no longer initial.

    ``draining_since`` is the time of deregistration in seconds since the epoch, None while it is registered.
    """

    instance_id: str
    address: str
    port: int
    proven: bool = False
    draining_since: float | None = None


Slots = Mapping[str, Mapping[int, Slot]]
"""By backend and number, the first is 1."""


@dataclass(frozen=True)
class Plan:
    """What is true once the commands were given."""

    slots: Slots
    commands: tuple[str, ...]


def name(number: int) -> str:
    """A slot's name in HAProxy."""
    return f"slot{number}"


def size(group: TargetGroup, taken: Mapping[int, Slot]) -> int:
    """How many slots the backend of a target group has: room for as many to come while as many drain."""
    needed = max(2 * len(group.targets), *taken, 1)
    return -(-needed // STEP) * STEP


def plan(
    view: FrontDoorView,
    addresses: Mapping[str, str],
    slots: Slots,
    rows: Mapping[tuple[str, str], Row],
    now: float,
) -> Plan:
    """Give and take slots so that they are as the view says. ``rows`` are HAProxy's servers as they are now."""
    planned: dict[str, Mapping[int, Slot]] = {}
    commands: list[str] = []
    for group in view.target_groups:
        seen = {
            number: row
            for number in range(1, len(rows) + 1)
            if (row := rows.get((group.backend, name(number)))) is not None
        }
        kept = _keep(group, addresses, slots.get(group.backend, {}), seen, now, commands)
        planned[group.backend] = _add(group, addresses, kept, seen, commands)
    return Plan(planned, tuple(commands))


def load(file: Path) -> Slots:
    """The slots as they were saved; none when they were not."""
    if not file.exists():
        return {}
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {backend: {int(number): Slot(**slot) for number, slot in taken.items()} for backend, taken in kept.items()}


def save(slots: Slots, file: Path) -> None:
    """Write the slots down for the next process, whole or not at all."""
    text = json.dumps(
        {backend: {number: asdict(slot) for number, slot in taken.items()} for backend, taken in slots.items()}
    )
    partial = file.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _keep(
    group: TargetGroup,
    addresses: Mapping[str, str],
    taken: Mapping[int, Slot],
    seen: Mapping[int, Row],
    now: float,
    commands: list[str],
) -> dict[int, Slot]:
    """The slots that stay taken: by registered targets, and by those that still have streams."""
    registered = _registered(group)
    kept: dict[int, Slot] = {}
    for number, slot in taken.items():
        server, row = f"{group.backend}/{name(number)}", seen.get(number)
        if row is None:
            continue  # the backend was made anew: whoever is still registered gets a slot there
        if slot.draining_since is None:
            target = registered.get(slot.instance_id)
            if target is None:
                # Not `drain`, which lets in whoever has the cookie. Running streams go on.
                commands.append(f"set server {server} state maint")
                kept[number] = replace(slot, draining_since=now)
            else:
                address = (addresses[target.instance_id], target.port) if target.instance_id in addresses else NOWHERE
                kept[number] = _follow(server, slot, address, group, row, commands)
        elif row.sessions and now - slot.draining_since < group.deregistration_delay:
            kept[number] = slot
        elif row.sessions:
            commands.append(f"shutdown sessions server {server}")
    return kept


def _follow(
    server: str, slot: Slot, address: tuple[str, int], group: TargetGroup, row: Row, commands: list[str]
) -> Slot:
    moved = address != (slot.address, slot.port)
    slot = replace(slot, address=address[0], port=address[1], proven=slot.proven or _is_proven(group, row))
    if row.in_maintenance:  # HAProxy was started anew
        commands += _enter(server, *address)
        return replace(slot, proven=False)
    if moved:
        commands.append(f"set server {server} addr {address[0]} port {address[1]}")
    if not slot.proven and row.passed:
        # One good answer lets a new target in; one that had failed needs as many as its threshold says.
        commands.append(f"set server {server} health up")
    return slot


def _is_proven(group: TargetGroup, row: Row) -> bool:
    check = group.health_check
    return not (row.is_down or row.in_maintenance) or row.since >= check.interval * check.unhealthy_threshold


def _add(
    group: TargetGroup,
    addresses: Mapping[str, str],
    kept: Mapping[int, Slot],
    seen: Mapping[int, Row],
    commands: list[str],
) -> Mapping[int, Slot]:
    served = {slot.instance_id for slot in kept.values() if slot.draining_since is None}
    free = iter(sorted(set(seen) - set(kept)))
    added = dict(kept)
    for instance_id, target in _registered(group).items():
        if instance_id in served or instance_id not in addresses:
            continue
        number = next(free, None)
        if number is None:
            break  # the next configuration has more
        commands += _enter(f"{group.backend}/{name(number)}", addresses[instance_id], target.port)
        added[number] = Slot(instance_id, addresses[instance_id], target.port)
    return added


def _enter(server: str, host: str, port: int) -> list[str]:
    # A server that leaves maintenance counts as up; a target gets no request before its first good answer.
    return [
        f"set server {server} addr {host} port {port}",
        f"set server {server} state ready",
        f"set server {server} health down",
    ]


def _registered(group: TargetGroup) -> dict[str, Target]:
    return {target.instance_id: target for target in group.targets if target.state != "draining"}
