"""An Auto Scaling that launches, replaces, scales and refreshes instances. moto 5.2.5 mostly only stores groups.

``apply`` replaces moto's implementation. From then on requests only change the desired state, and each tick works
towards it: ``start_ticker`` ticks in the server, tests call ``tick``. ``reconcile.tick`` lists the steps of a tick.

Not modelled: launch configurations, classic load balancers, traffic sources, notification configurations, warm pools,
simple and predictive scaling, weights, templates and requirements of overrides, checkpoints of a refresh, spot
interruptions and rebalance recommendations.
"""

from __future__ import annotations

from .moto_patch import apply
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
