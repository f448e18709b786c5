"""The operations of the Auto Scaling API, by kind; ``OPERATIONS`` has them all by moto's method names."""

from __future__ import annotations

from . import groups, hooks, instances, kinds, load_balancing, notifications, policies, refreshes, tags
from .request import Handler

OPERATIONS: dict[str, Handler] = {
    handler.__name__: handler
    for module in (groups, hooks, instances, kinds, load_balancing, notifications, policies, refreshes, tags)
    for handler in module.HANDLERS
}
