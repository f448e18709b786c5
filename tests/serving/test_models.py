"""A model is added and removed while users chat: no request fails, no stream is cut, nothing restarts."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core.paths import locate
from ollama_gpu.local.lab import locations
from ollama_gpu.local.lab.supplies import model
from ollama_gpu.models import memory, model_set
from ollama_gpu.models import serving as serving_settings
from ollama_gpu.models.store import Store
from ollama_gpu.observe import model_following
from tests.serving.conftest import Serving
from tests.serving.traffic import Session, sign_in, traffic

SECOND = "second:270m"
FOLLOWED_WITHIN_SECONDS = 240.0
_MANIFESTS = Path("manifests/registry.ollama.ai/library")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a second model: the lab's own with weights a few bytes longer, so that it gets another process."""
    made = model.find(locations.locate(locate()).cache)
    assert made is not None
    folder = tmp_path_factory.mktemp("store")
    (folder / "blobs").mkdir()
    manifest = json.loads((made.folder / _MANIFESTS / "gemma3" / "270m").read_text())
    for blob in [manifest["config"], *manifest["layers"]]:
        name = blob["digest"].replace(":", "-")
        (folder / "blobs" / name).symlink_to(made.folder / "blobs" / name)
    (weights,) = [layer for layer in manifest["layers"] if layer["mediaType"].endswith(".model")]
    content = (folder / "blobs" / weights["digest"].replace(":", "-")).read_bytes() + bytes(32)
    weights |= {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
    (folder / "blobs" / weights["digest"].replace(":", "-")).write_bytes(content)
    target = folder / _MANIFESTS / SECOND.replace(":", "/")
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def second_model_removed(serving: Serving) -> Iterator[None]:
    yield
    if SECOND in names(serving):
        serving.driver.run("models", "remove", SECOND, "--env", "local")


def names(serving: Serving) -> list[str]:
    """The names of the published models."""
    context = serving.context
    return [each.name for each in model_set.published(context) or []]


def offered(session: Session) -> set[str]:
    """The models that Open WebUI lists on this session's instance."""
    status, answer = session.ask("GET", "/api/models")
    assert status == 200, answer
    return {each["id"] for each in answer["data"]}


def sessions(serving: Serving, token: str) -> list[Session]:
    """One session on each instance, by the load balancer's cookie."""
    found: dict[str, Session] = {}
    deadline = time.monotonic() + 60
    while len(found) < len(serving.healthy()):
        assert time.monotonic() < deadline, "the load balancer does not use every instance"
        session = Session(serving.chat_address, token)
        session.ask("GET", "/api/version")
        found.setdefault(session.cookies["AWSALB"].split("|")[0], session)
    return list(found.values())


class Refused(Exception):
    """The model does not exist (any more); reported before the answer starts."""


def story(session: Session, tokens: int) -> None:
    """Stream a whole answer of the second model. Raises Refused, or AssertionError if the answer is cut off."""
    body = {"model": SECOND, "messages": [{"role": "user", "content": "Once upon a time"}], "stream": True}
    response = session.send("POST", "/api/chat/completions", {**body, "max_tokens": tokens})
    if response.status != 200:
        raise Refused(response.read())
    pieces = 0
    while line := response.readline():
        data = line.decode("utf-8", "replace").removeprefix("data:").strip()
        if data == "[DONE]":
            response.read()
            return
        if not line.startswith(b"data:") or not data:
            continue
        if "error" in (event := json.loads(data)):
            assert not pieces, f"cut off after {pieces} pieces: {data}"
            response.read()
            raise Refused(data)
        pieces += any(choice.get("delta", {}).get("content") for choice in event.get("choices", []))
    raise AssertionError(f"cut off after {pieces} pieces")


@dataclass
class Listener:
    """A user who asks the second model for one story after the other until the model is gone."""

    session: Session
    answers: int = 0
    cut: str = ""

    def listen(self) -> None:
        try:
            while True:
                story(self.session, tokens=40)
                self.answers += 1
        except Refused:
            return
        except (AssertionError, OSError, HTTPException) as error:
            self.cut = repr(error)


@contextmanager
def listening(on: list[Session]) -> Iterator[list[Listener]]:
    """Users with a story in progress; all have finished at the end."""
    listeners = [Listener(session) for session in on]
    threads = [threading.Thread(target=each.listen, daemon=True) for each in listeners]
    for thread in threads:
        thread.start()
    wait_for("each user has had an answer", lambda: all(each.answers or each.cut for each in listeners), 120)
    yield listeners
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "an answer has not ended"


def processes(serving: Serving) -> dict[str, str]:
    """Processes that must not restart: the main processes of Ollama, gateway and Open WebUI on each instance."""
    units = ["ollama@0.service", "haproxy.service", "ollama-gpu-health.service", "open-webui@8081.service"]
    command = ["systemctl", "show", "--property", "Id,MainPID,NRestarts,ActiveEnterTimestamp", *units]
    return {instance: serving.run(instance, *command) for instance in serving.healthy()}


def resident(serving: Serving, instance: str) -> dict[str, dict[str, Any]]:
    """The models that an instance's Ollama has loaded, by name."""
    answer = json.loads(serving.run(instance, "curl", "-s", "http://127.0.0.1:11500/api/ps"))
    return {each["name"]: each for each in answer["models"]}


def wait_for(what: str, condition: Any, seconds: float = FOLLOWED_WITHIN_SECONDS) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(1)
    return time.monotonic() - began


@pytest.mark.usefixtures("second_model_removed")
def test_a_model_can_be_added_and_removed_while_users_chat(serving: Serving, store: Path) -> None:
    token = sign_in(serving.chat_address, serving.administrator)
    before = processes(serving)
    instances = serving.healthy()
    with traffic(serving.chat_address, token, users=2, tokens=6) as running:
        since = time.monotonic()
        added = serving.driver.run("models", "add", SECOND, "--store", str(store), "--env", "local")
        assert added.status == 0, added.err
        on_each, watching = sessions(serving, token), sessions(serving, token)
        assert len(on_each) == len(instances) == 2
        came = wait_for("every Open WebUI lists it", lambda: all(SECOND in offered(each) for each in on_each))
        followed = {each: model_following.read(serving.context, each) for each in instances}
        wait_for("every instance has loaded it", lambda: all(SECOND in resident(serving, each) for each in instances))
        wait_for("every instance reports it", lambda: check(serving).state == "ok")
        with listening(on_each) as listeners:
            removed = serving.driver.run("models", "remove", SECOND, "--env", "local")
            assert removed.status == 0, removed.err
            went = wait_for("no Open WebUI lists it", lambda: not any(SECOND in offered(each) for each in watching))
        assert [each.cut for each in listeners] == ["", ""], "answers in progress were completed"
        assert all(each.answers > 0 for each in listeners)
        wait_for("its memory is free", lambda: not any(SECOND in resident(serving, each) for each in instances))
        wait_for("every instance reports its removal", lambda: check(serving).state == "ok")
        figures = running.settle(since, 600)
    print(f"models: listed everywhere after {came:.0f} s, gone after {went:.0f} s; {figures}; {followed}")
    assert figures.failed == 0
    assert processes(serving) == before, "something was restarted"
    for instance in instances:
        blobs = serving.run(instance, "ls", "/var/lib/ollama/models/blobs").split()
        assert not {Store(store).manifest(SECOND).weights.file.removeprefix("blobs/")} & set(blobs)


def check(serving: Serving) -> Any:
    """The row of `verify` about the models."""
    return model_following.check(serving.context, serving.healthy())


def test_a_model_takes_the_predicted_memory(serving: Serving) -> None:
    context = serving.context
    how = serving_settings.read(context.paths, context.environment)
    needs = {each.name: each for each in model_set.weigh(context, how).values()}
    for instance in serving.healthy():
        for name, loaded in resident(serving, instance).items():
            # Without a GPU, a model that shares its output and embedding weights holds these twice, at most in half
            # precision.
            twice = loaded["size"] - needs[name].loaded
            assert -4 * memory.MIB < twice < 200 * memory.MIB, (name, loaded["size"], needs[name])


def test_a_model_that_fits_no_gpu_is_refused_with_the_calculation(
    serving: Serving, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = serving.context
    huge = memory.Serving(4096, 8192)
    wanted = model_set.ModelSet(context, huge, Store(store))
    with pytest.raises(Exception, match=r"do not fit a GPU of .*T4.*KV cache .* \(4096 slots x 8192 tokens"):
        wanted.add({"name": SECOND})
    assert SECOND not in names(serving)
