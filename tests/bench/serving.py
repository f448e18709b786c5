"""The serving environment: the gateway's cost, streams of Open WebUI, memory of everything, what each fault cost."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from tests.bench import faults, gateway, memory, open_webui
from tests.bench.instance import prepared
from tests.bench.measure import say
from tests.serving import fleet
from tests.serving.conftest import Serving
from tests.serving.traffic import sign_in

STAYS_AS_IT_IS = ("AlarmNotification", "HealthCheck")
"""So busy an instance may look ill, and the fleet too small: nobody is to come or go meanwhile."""


def figures(serving: Serving) -> dict[str, Any]:
    """Takes about ten minutes of an environment that nobody else uses."""
    token = sign_in(serving.door, serving.administrator)
    with ExitStack() as stack:
        for process in STAYS_AS_IT_IS:
            stack.enter_context(fleet.suspended(serving, process))
        found = memory.figures(serving, "idle")
        instance = stack.enter_context(prepared(serving, serving.healthy()[0]))
        say("gateway: pairs of chats")
        found |= gateway.figures(instance)
        found |= open_webui.figures(instance, token)
        found |= memory.figures(serving, "after the streams")
    return found | faults.figures()
