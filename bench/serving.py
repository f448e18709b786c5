"""The serving environment: the gateway's cost, streams of Open WebUI, memory, and the cost of each fault."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from bench import faults, gateway, memory, open_webui
from bench.instance import prepared
from bench.measure import say
from tests.serving import fleet
from tests.serving.conftest import Serving
from tests.serving.traffic import sign_in

SUSPENDED_PROCESSES = ("AlarmNotification", "HealthCheck")
"""Under this load an instance can look unhealthy and the fleet too small: no instance may be added or removed."""


def figures(serving: Serving) -> dict[str, Any]:
    """Takes about ten minutes in an environment without other users."""
    token = sign_in(serving.chat_address, serving.administrator)
    with ExitStack() as stack:
        for process in SUSPENDED_PROCESSES:
            stack.enter_context(fleet.suspended(serving, process))
        found = memory.figures(serving, "idle")
        instance = stack.enter_context(prepared(serving, serving.healthy()[0]))
        say("gateway: pairs of chats")
        found |= gateway.figures(instance)
        found |= open_webui.figures(instance, token)
        found |= memory.figures(serving, "after the streams")
    return found | faults.figures()
