"""A retry gets the response of its successful first attempt, and the request is not executed twice."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from ollama_gpu.local.embedded_aws.application import ReplayedResponses


class Counter:
    """A service that counts its requests and returns a status."""

    def __init__(self, status: str) -> None:
        self.status, self.done = status, 0

    def __call__(self, _environ: Any, start_response: Any) -> list[bytes]:
        self.done += 1
        start_response(self.status, [("X-Count", str(self.done))])
        return [f"response {self.done}".encode()]


def send(
    responses: ReplayedResponses, service: Counter, identifier: str | None, sent: BytesIO | None = None
) -> tuple[str, bytes]:
    statuses: list[str] = []
    sent = sent or BytesIO()
    environ: dict[str, Any] = {"wsgi.input": sent, "CONTENT_LENGTH": str(len(sent.getvalue()))}
    environ |= {} if identifier is None else {"HTTP_AMZ_SDK_INVOCATION_ID": identifier}
    body = b"".join(responses.once(environ, lambda status, _headers, *_: statuses.append(status), service))
    return statuses[-1], body


def test_retry_of_successful_request_gets_same_response() -> None:
    responses, service = ReplayedResponses(), Counter("200 OK")
    assert send(responses, service, "a") == send(responses, service, "a") == ("200 OK", b"response 1")
    assert service.done == 1


def test_body_of_retry_is_read_before_response() -> None:
    """Otherwise the server closes with unread data, which resets the connection and loses the response again."""
    responses, service, sent = ReplayedResponses(), Counter("200 OK"), BytesIO(b"a part of an upload")
    send(responses, service, "a")
    send(responses, service, "a", sent)
    assert not sent.read()


def test_other_request_is_executed() -> None:
    responses, service = ReplayedResponses(), Counter("200 OK")
    assert send(responses, service, "a") != send(responses, service, "b")


@pytest.mark.parametrize(("status", "identifier"), [("400 Bad Request", "a"), ("503 Slow Down", "a"), ("200 OK", None)])
def test_rejected_request_or_request_without_id_is_executed_again(status: str, identifier: str | None) -> None:
    responses, service = ReplayedResponses(), Counter(status)
    send(responses, service, identifier)
    send(responses, service, identifier)
    assert service.done == 2


def test_number_of_kept_responses_is_limited() -> None:
    responses, service = ReplayedResponses(), Counter("200 OK")
    for number in range(ReplayedResponses.KEPT + 1):
        send(responses, service, str(number))
    assert send(responses, service, "0")[1] == f"response {ReplayedResponses.KEPT + 2}".encode()
