"""The assignment of HAProxy's servers to targets, and the commands that keep HAProxy in line with it.

A target group's backend has more servers, called slots, than targets. A new instance gets a free slot, and a drained
one releases its slot, while HAProxy runs. So no stream is interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ollama_gpu.core import files

from .stats import Row
from .view import FrontDoorView, Target, TargetGroup

STEP = 16
"""The number of slots grows in these steps. A backend that needs more slots needs a new configuration."""

NOWHERE = ("127.0.0.1", 1)
"""The address of a target without one, which refuses connections. Another instance may have its old address by now."""


@dataclass(frozen=True)
class Slot:
    """A target's server.

    ``proven`` is true once its first checks have decided, so that its state is no longer initial. ``draining_since`` is
    the time of deregistration in seconds since the epoch, None while the target is registered.
    """

    instance_id: str
    address: str
    port: int
    proven: bool = False
    draining_since: float | None = None


Slots = Mapping[str, Mapping[int, Slot]]
"""Slots by backend and number, which starts at 1."""


@dataclass(frozen=True)
class Plan:
    """The slots after HAProxy has run the commands."""

    slots: Slots
    commands: tuple[str, ...]


def name(number: int) -> str:
    """Return a slot's name in HAProxy."""
    return f"slot{number}"


def size(group: TargetGroup, taken: Mapping[int, Slot]) -> int:
    """Return the number of slots of a backend: room for as many new targets as there are targets to drain."""
    needed = max(2 * len(group.targets), *taken, 1)
    return -(-needed // STEP) * STEP


def plan(
    view: FrontDoorView,
    addresses: Mapping[str, str],
    slots: Slots,
    rows: Mapping[tuple[str, str], Row],
    now: float,
) -> Plan:
    """Assign and release slots to match the view. ``rows`` is the present state of HAProxy's servers."""
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
    """Return the saved slots, or none."""
    if not file.exists():
        return {}
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {backend: {int(number): Slot(**slot) for number, slot in taken.items()} for backend, taken in kept.items()}


def save(slots: Slots, file: Path) -> None:
    """Save the slots for the next process, atomically."""
    text = json.dumps(
        {backend: {number: asdict(slot) for number, slot in taken.items()} for backend, taken in slots.items()}
    )
    files.replace(file, text)


def _keep(
    group: TargetGroup,
    addresses: Mapping[str, str],
    taken: Mapping[int, Slot],
    seen: Mapping[int, Row],
    now: float,
    commands: list[str],
) -> dict[int, Slot]:
    """Return the slots that stay assigned: to registered targets, and to draining ones with streams."""
    registered = _registered(group)
    kept: dict[int, Slot] = {}
    for number, slot in taken.items():
        server, row = f"{group.backend}/{name(number)}", seen.get(number)
        if row is None:
            continue  # the backend is new, and its registered targets get slots there
        if slot.draining_since is None:
            target = registered.get(slot.instance_id)
            if target is None:
                # Not `drain`, which still accepts clients that have the cookie. Running streams continue.
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
    if row.in_maintenance:  # HAProxy has restarted
        commands += _enter(server, *address)
        return replace(slot, proven=False)
    if moved:
        commands.append(f"set server {server} addr {address[0]} port {address[1]}")
    if not slot.proven and row.passed:
        # A new target needs one successful check; one that has failed needs as many as its threshold.
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
            break  # the next configuration has more slots
        commands += _enter(f"{group.backend}/{name(number)}", addresses[instance_id], target.port)
        added[number] = Slot(instance_id, addresses[instance_id], target.port)
    return added


def _enter(server: str, host: str, port: int) -> list[str]:
    # HAProxy takes a server that leaves maintenance as up, but a target gets no request before a successful check.
    return [
        f"set server {server} addr {host} port {port}",
        f"set server {server} state ready",
        f"set server {server} health down",
    ]


def _registered(group: TargetGroup) -> dict[str, Target]:
    return {target.instance_id: target for target in group.targets if target.state != "draining"}
