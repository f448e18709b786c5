"""The main use case in a real browser: actions of an administrator and a user, and what they see.

Screenshots and the report are in the test's folder, which pytest names when a test fails.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from ollama_gpu.core.waiting import wait_until
from tests.serving.browser import run
from tests.serving.conftest import Serving

QUESTION = "The capital of France is"
FACT = "The keeper of the lighthouse at Skerry Point is called Ottoline Brandt."
_FILLER = (
    "The harbour office measures the tide at the north pier every morning at six, and writes it into the blue ledger.",
    "Bread is baked on Tuesdays and Fridays; the oven of the old bakery is heated with driftwood from the east beach.",
    "The ferry to the mainland leaves at noon, unless the wind is from the west and stronger than seven.",
    "Sheep graze on the commons from April to October, and every household may keep eleven of them there.",
    "The library lends three books at a time for four weeks, and has a shelf of atlases that stay in the building.",
)
DOCUMENT = "skerry.txt"
HEALTHY_SECONDS = 300.0  # an earlier test may have killed an instance


@pytest.fixture(scope="module")
def user() -> dict[str, str]:
    """A new user each time: ENV=local may have been used before."""
    name = secrets.token_hex(4)
    return {"name": f"Reader {name}", "email": f"reader-{name}@example.org", "password": secrets.token_urlsafe(16)}


@pytest.fixture(scope="module")
def seen(serving: Serving, user: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The browser's report; `browser/story.py` has the steps."""
    wait_until(lambda: len(serving.healthy()) >= 2, "a second healthy instance", HEALTHY_SECONDS)
    folder = tmp_path_factory.mktemp("browser")
    document = {"name": DOCUMENT, "text": _document(), "question": "Who is the keeper of the lighthouse?"}
    inputs = {"administrator": _administrator(serving), "user": user, "question": QUESTION, "document": document}
    print(f"pictures: {folder}")
    return run.run(serving, inputs, folder)


def test_the_page_offers_no_sign_up(seen: dict[str, Any]) -> None:
    assert seen["sign_up_buttons"] == 0


def test_an_answer_arrives_in_pieces(seen: dict[str, Any]) -> None:
    answer = seen["answer"]
    growth = [step["length"] for step in answer["growth"]]
    assert len(growth) >= 3, answer
    assert growth == sorted(set(growth)), "each text is longer than the one before"
    assert answer["growth"][-1]["ms"] > answer["growth"][0]["ms"] + 100, "not all at once"
    # Unclosed Markdown is a character or two longer than closed Markdown; an error would be another text.
    assert abs(growth[-1] - len(answer["text"])) <= 4, "the last text is the whole answer"
    assert answer["text"].startswith(answer["growth"][0]["text"][:8].rstrip()), "the growing text is the answer"


def test_another_instance_shows_the_chat_history(seen: dict[str, Any], serving: Serving) -> None:
    assert seen["server"]
    assert seen["other_server"] != seen["server"], "the load balancer never sent the browser to another instance"
    assert seen["final_server"] == seen["other_server"]
    assert QUESTION in seen["history"]["question"]
    assert seen["history"]["answer"] == seen["answer"]["text"]
    # Confirmed by the instances' logs: one instance answered the question, the other one showed the chat.
    paths = {instance: _front_door(serving, instance) for instance in serving.healthy()}
    chat = f"/api/v1/chats/{seen['chat']}"
    assert sum(chat in found for found in paths.values()) == 2, {name: len(found) for name, found in paths.items()}


def test_the_answer_uses_the_document(seen: dict[str, Any]) -> None:
    given = [text for source in seen["sources"] for text in source["document"]]
    assert any(FACT in text for text in given), seen["sources"]
    assert {source["source"]["name"] for source in seen["sources"]} == {DOCUMENT}
    assert seen["document_answer"]["text"]


def test_the_model_gets_only_the_relevant_passages(seen: dict[str, Any], serving: Serving) -> None:
    embedded = [_gateway(serving, instance).count("/api/embed") for instance in serving.healthy()]
    assert sum(embedded) >= 2, "Ollama embeds the document and the question, through the gateway"
    given = [text for source in seen["sources"] for text in source["document"]]
    assert sum(len(text) for text in given) < len(_document()), "not the whole document"
    assert FACT in given[0], "the best passage comes first"


def test_the_browser_reports_no_errors(seen: dict[str, Any]) -> None:
    assert seen["failures"] == []
    assert seen["console"] == []


def _document() -> str:
    """Some pages about a place, with one sentence about its lighthouse."""
    pages = [" ".join(f"{line} It has been so since {1800 + 10 * part}." for line in _FILLER) for part in range(8)]
    pages.insert(5, FACT)
    return "\n\n".join(pages) + "\n"


def _administrator(serving: Serving) -> dict[str, str]:
    account = serving.administrator
    return {"name": "", "email": account["email"], "password": account["password"]}


def _front_door(serving: Serving, instance: str) -> set[str]:
    return {json.loads(line)["Path"] for line in _log(serving, instance, "ollama-gpu-front-door")}


def _gateway(serving: Serving, instance: str) -> list[str]:
    return [json.loads(line)["Path"] for line in _log(serving, instance, "ollama-gpu-requests")]


def _log(serving: Serving, instance: str, tag: str) -> list[str]:
    output = serving.run(instance, "journalctl", f"--identifier={tag}", "--output=cat", "--no-pager")
    return [line for line in output.splitlines() if line.startswith("{")]
