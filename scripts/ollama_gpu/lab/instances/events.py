"""What AWS would tell an instance of its end: a spot notice, a rebalance recommendation. For trials and fault tests.

That its group terminates it needs no word here: `View` reads it of Auto Scaling, `Containers` passes it on.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from ollama_gpu.lab.docker import Docker

from . import metadata

SPOT_NOTICE = timedelta(minutes=2)
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_FILE = "events"


def spot_notice(docker: Docker, container: str, ends_in: timedelta = SPOT_NOTICE) -> datetime:
    """EC2 takes the instance back after ``ends_in``; ``container`` serves its metadata. Returns when that is, in UTC.

    As on EC2 a rebalance recommendation comes with it. Only the notice is given: who plays EC2 terminates it as well.
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
    """EC2 sees the spot instance at an elevated risk of interruption."""
    metadata.write(docker, container, _FILE, _recommendation(datetime.now(UTC)))


def withdraw(docker: Docker, container: str) -> None:
    """Nothing is to happen to the instance any more."""
    metadata.write(docker, container, _FILE, {})


def _recommendation(now: datetime) -> dict[str, str]:
    return {"meta-data/events/recommendations/rebalance": json.dumps({"noticeTime": now.strftime(_TIME)})}
