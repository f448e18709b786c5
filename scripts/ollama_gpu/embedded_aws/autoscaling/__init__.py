"""Auto Scaling that behaves: groups that launch, replace, scale and refresh, where moto 5.2.5 mostly stores.

``apply`` puts it in moto's place; from then on requests only say what is wanted and a tick brings it about:
``start_ticker`` in the server, ``tick`` by hand in tests. ``reconcile.tick`` is the list of what happens.

Not here: launch configurations and classic load balancers (refused), warm pools (refused), predictive scaling
(kept, never acts), attribute-based type selection (refused), spot interruptions and rebalance signals.
"""

from __future__ import annotations

from .installation import apply
from .settings import answer_lifecycle_actions, settings, start_targets_healthy
from .targets import forget_target_health, set_target_health
from .ticker import Ticker, start_ticker, tick

__all__ = [
    "Ticker",
    "answer_lifecycle_actions",
    "apply",
    "forget_target_health",
    "set_target_health",
    "settings",
    "start_targets_healthy",
    "start_ticker",
    "tick",
]
