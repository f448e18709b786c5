"""Spot interruption notices and rebalance recommendations, for fault tests.

A termination by the group is not in here: `View` reads it from Auto Scaling, and `Containers` passes it on.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from ollama_gpu.local.lab.docker import Docker

from . import metadata

SPOT_NOTICE = timedelta(minutes=2)
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_FILE = "events"


def spot_notice(docker: Docker, container: str, ends_in: timedelta = SPOT_NOTICE) -> datetime:
    """Announce an interruption in ``ends_in`` to the instance with this metadata container; return its time in UTC.

    As on EC2, a rebalance recommendation comes with it. The caller must terminate the instance itself.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    end = now + ends_in
    text = end.strftime(_TIME)
    notice = {
        "meta-data/spot/instance-action": json.dumps({"action": "terminate", "time": text}),
        "meta-data/spot/termination-time": text,
    }
    metadata.write(docker, container, _FILE, {**notice, **_recommendation(now)})
    return end


def rebalance(docker: Docker, container: str) -> None:
    """Recommend a rebalance: EC2 sees an elevated risk of interruption."""
    metadata.write(docker, container, _FILE, _recommendation(datetime.now(UTC)))


def withdraw(docker: Docker, container: str) -> None:
    """Withdraw the notice and the recommendation."""
    metadata.write(docker, container, _FILE, {})


def _recommendation(now: datetime) -> dict[str, str]:
    return {"meta-data/events/recommendations/rebalance": json.dumps({"noticeTime": now.strftime(_TIME)})}
