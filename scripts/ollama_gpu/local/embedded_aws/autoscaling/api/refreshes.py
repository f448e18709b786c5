"""Instance refreshes: start, describe, cancel, roll back."""

from __future__ import annotations

from ollama_gpu.local.embedded_aws.autoscaling import refresh_requests
from ollama_gpu.local.embedded_aws.autoscaling.model import Json

from .request import Handler, Request


def start_instance_refresh(request: Request) -> Json:
    return {"InstanceRefreshId": refresh_requests.start(request.region, request.group(), request.given, request.now).id}


def describe_instance_refreshes(request: Request) -> Json:
    ids = request.given.get("InstanceRefreshIds")
    found = [each for each in request.group().refreshes if not ids or each.id in ids]
    page, token = request.page(found, 50)
    return {"InstanceRefreshes": [each.describe() for each in page], "NextToken": token}


def cancel_instance_refresh(request: Request) -> Json:
    return {"InstanceRefreshId": refresh_requests.cancel(request.group(), request.now).id}


def rollback_instance_refresh(request: Request) -> Json:
    return {"InstanceRefreshId": refresh_requests.roll_back(request.region, request.group(), request.now).id}


HANDLERS: tuple[Handler, ...] = (
    start_instance_refresh,
    describe_instance_refreshes,
    cancel_instance_refresh,
    rollback_instance_refresh,
)
