"""CloudWatch Logs: query definitions, AssociateKmsKey, the embedded metric format, and a limit of stored events.

moto 5.2.5 has no query definitions and no AssociateKmsKey. It does not read the embedded metric format, which turns the
gateway's log into CloudWatch metrics. It keeps every event in memory: here a stream keeps its first events, which
describe an instance's boot, and its newest ones.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from moto.core.utils import unix_time_millis
from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.models import LogGroup
from moto.logs.responses import LogsResponse

from .embedded_metric_format import publish
from .patching import add_operations, around
from .store import Regional

FIRST_EVENTS = 2_000  # per stream
NEWEST_EVENTS = 8_000  # a fleet writes a few thousand an hour

_queries: Regional[dict[str, Any]] = Regional()


def apply() -> None:
    """Patch moto's CloudWatch Logs."""
    add_operations(
        LogsResponse,
        put_query_definition,
        describe_query_definitions,
        delete_query_definition,
        associate_kms_key,
        disassociate_kms_key,
    )

    @around(LogGroup, "put_log_events")  # it receives only the events that the backend accepted
    def put_log_events(
        original: Callable[..., Any], self: Any, log_stream_name: str, log_events: list[dict[str, Any]]
    ) -> Any:
        answer = original(self, log_stream_name, log_events)
        del self.streams[log_stream_name].events[FIRST_EVENTS:-NEWEST_EVENTS]
        publish(self.account_id, self.region, log_events)
        return answer


def put_query_definition(self: Any) -> str:
    """PutQueryDefinition. Creates a definition if the request has no id."""
    request = json.loads(self.body)
    queries = _queries.of(self)
    identifier = request.get("queryDefinitionId") or str(uuid.uuid4())
    if request.get("queryDefinitionId") and identifier not in queries:
        raise ResourceNotFoundException(f"The query definition {identifier} does not exist.")
    kept = ("name", "queryString", "logGroupNames", "queryLanguage")
    queries[identifier] = {key: request[key] for key in kept if request.get(key)} | {
        "queryDefinitionId": identifier,
        "lastModified": int(unix_time_millis()),
    }
    return json.dumps({"queryDefinitionId": identifier})


def describe_query_definitions(self: Any) -> str:
    """DescribeQueryDefinitions, filtered by prefix of the name, in one page."""
    prefix = json.loads(self.body).get("queryDefinitionNamePrefix", "")
    found = [query for query in _queries.of(self).values() if query["name"].startswith(prefix)]
    return json.dumps({"queryDefinitions": found})


def delete_query_definition(self: Any) -> str:
    """DeleteQueryDefinition."""
    identifier = json.loads(self.body)["queryDefinitionId"]
    if _queries.of(self).pop(identifier, None) is None:
        raise ResourceNotFoundException(f"The query definition {identifier} does not exist.")
    return json.dumps({"success": True})


def associate_kms_key(self: Any) -> str:
    """AssociateKmsKey of a log group."""
    _group(self).kms_key_id = json.loads(self.body)["kmsKeyId"]
    return "{}"


def disassociate_kms_key(self: Any) -> str:
    """DisassociateKmsKey of a log group."""
    _group(self).kms_key_id = None
    return "{}"


def _group(response: Any) -> Any:
    request = json.loads(response.body)
    name = request.get("logGroupName") or request["resourceIdentifier"].split(":log-group:")[1].split(":")[0]
    group = response.logs_backend.groups.get(name)
    if group is None:
        raise ResourceNotFoundException()
    return group
