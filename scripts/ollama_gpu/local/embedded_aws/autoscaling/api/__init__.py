"""The operations of the Auto Scaling API, one module per subject. ``OPERATIONS`` maps moto's method names to them.

Follows: Amazon EC2 Auto Scaling API Reference, the action with the operation's name.
"""

from __future__ import annotations

from . import groups, hooks, instances, load_balancing, policies, refreshes, tags
from .request import Handler

OPERATIONS: dict[str, Handler] = {
    handler.__name__: handler
    for module in (groups, hooks, instances, load_balancing, policies, refreshes, tags)
    for handler in module.HANDLERS
}
