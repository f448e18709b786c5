"""A retry whose first attempt succeeded gets that attempt's answer; the work is not done twice."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from ollama_gpu.embedded_aws.application import LostAnswers


class Counter:
    """A service that counts what it does and answers with a status."""

    def __init__(self, status: str) -> None:
        self.status, self.done = status, 0

    def __call__(self, _environ: Any, start_response: Any) -> list[bytes]:
        self.done += 1
        start_response(self.status, [("X-Count", str(self.done))])
        return [f"answer {self.done}".encode()]


def ask(
    answers: LostAnswers, service: Counter, identifier: str | None, sent: BytesIO | None = None
) -> tuple[str, bytes]:
    said: list[str] = []
    sent = sent or BytesIO()
    environ: dict[str, Any] = {"wsgi.input": sent, "CONTENT_LENGTH": str(len(sent.getvalue()))}
    environ |= {} if identifier is None else {"HTTP_AMZ_SDK_INVOCATION_ID": identifier}
    body = b"".join(answers.once(environ, lambda status, _headers, *_: said.append(status), service))
    return said[-1], body


def test_a_retry_of_what_succeeded_gets_the_same_answer_and_does_nothing() -> None:
    answers, service = LostAnswers(), Counter("200 OK")
    assert ask(answers, service, "a") == ask(answers, service, "a") == ("200 OK", b"answer 1")
    assert service.done == 1


def test_a_retrys_body_is_read_before_its_answer() -> None:
    """Else the server closes over unread data, which resets the connection: the answer is lost each time."""
    answers, service, sent = LostAnswers(), Counter("200 OK"), BytesIO(b"a part of an upload")
    ask(answers, service, "a")
    ask(answers, service, "a", sent)
    assert not sent.read()


def test_another_request_is_done() -> None:
    answers, service = LostAnswers(), Counter("200 OK")
    assert ask(answers, service, "a") != ask(answers, service, "b")


@pytest.mark.parametrize(("status", "identifier"), [("400 Bad Request", "a"), ("503 Slow Down", "a"), ("200 OK", None)])
def test_what_was_refused_or_has_no_id_is_done_again(status: str, identifier: str | None) -> None:
    answers, service = LostAnswers(), Counter(status)
    ask(answers, service, identifier)
    ask(answers, service, identifier)
    assert service.done == 2


def test_only_so_many_answers_are_kept() -> None:
    answers, service = LostAnswers(), Counter("200 OK")
    for number in range(LostAnswers.KEPT + 1):
        ask(answers, service, str(number))
    assert ask(answers, service, "0")[1] == f"answer {LostAnswers.KEPT + 2}".encode()
