"""A model comes and goes while people chat: no request fails, no stream is cut, nothing is restarted."""

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

from ollama_gpu import model_following, model_memory, models, role_variables
from ollama_gpu.lab import places
from ollama_gpu.lab.supplies import model
from ollama_gpu.model_store import Store
from ollama_gpu.paths import locate
from tests.serving.conftest import Serving
from tests.serving.traffic import Session, sign_in, traffic

SECOND = "second:270m"
FOLLOWED_WITHIN_SECONDS = 240.0
_MANIFESTS = Path("manifests/registry.ollama.ai/library")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a second model: the lab's own, with weights that are a few bytes longer and so another process's."""
    made = model.find(places.locate(locate()).cache)
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
def as_it_was(serving: Serving) -> Iterator[None]:
    yield
    if SECOND in names(serving):
        serving.driver.run("models", "remove", SECOND, "--env", "local")


def names(serving: Serving) -> list[str]:
    """The names of the published set."""
    context = serving.context
    return [each.name for each in models.published(context.environment, context.contract, context.aws) or []]


def offered(session: Session) -> set[str]:
    """The models that Open WebUI lists, at the instance that this session is on."""
    status, answer = session.ask("GET", "/api/models")
    assert status == 200, answer
    return {each["id"] for each in answer["data"]}


def sessions(serving: Serving, token: str) -> list[Session]:
    """One on each instance, by the load balancer's cookie."""
    found: dict[str, Session] = {}
    deadline = time.monotonic() + 60
    while len(found) < len(serving.healthy()):
        assert time.monotonic() < deadline, "the load balancer does not use every instance"
        session = Session(serving.door, token)
        session.ask("GET", "/api/version")
        found.setdefault(session.cookies["AWSALB"].split("|")[0], session)
    return list(found.values())


class Refused(Exception):
    """The model is not there (any more), said before any of the answer."""


def story(session: Session, tokens: int) -> None:
    """A whole answer of the second model, as it streams. Raises Refused; AssertionError where it was cut off."""
    body = {"model": SECOND, "messages": [{"role": "user", "content": "Once upon a time"}], "stream": True}
    response = session.send("POST", "/api/chat/completions", {**body, "max_tokens": tokens})
    if response.status != 200:
        raise Refused(response.read())
    pieces = 0
    while line := response.readline():
        said = line.decode("utf-8", "replace").removeprefix("data:").strip()
        if said == "[DONE]":
            response.read()
            return
        if not line.startswith(b"data:") or not said:
            continue
        if "error" in (event := json.loads(said)):
            assert not pieces, f"cut off after {pieces} pieces: {said}"
            response.read()
            raise Refused(said)
        pieces += any(choice.get("delta", {}).get("content") for choice in event.get("choices", []))
    raise AssertionError(f"cut off after {pieces} pieces")


@dataclass
class Listener:
    """Somebody who asks the second model for one story after the other, until there is none."""

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
    """Listeners who are in the middle of a story; they have all left at the end."""
    listeners = [Listener(session) for session in on]
    threads = [threading.Thread(target=each.listen, daemon=True) for each in listeners]
    for thread in threads:
        thread.start()
    wait_for("each has had an answer", lambda: all(each.answers or each.cut for each in listeners), 120)
    yield listeners
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "an answer has not ended"


def processes(serving: Serving) -> dict[str, str]:
    """What must not restart: the main process of Ollama, of the gateway and of Open WebUI, on each instance."""
    units = ["ollama@0.service", "haproxy.service", "ollama-gpu-health.service", "open-webui@8081.service"]
    command = ["systemctl", "show", "--property", "Id,MainPID,NRestarts,ActiveEnterTimestamp", *units]
    return {instance: serving.run(instance, *command) for instance in serving.healthy()}


def resident(serving: Serving, instance: str) -> dict[str, dict[str, Any]]:
    """What an instance's Ollama has loaded, by name."""
    answer = json.loads(serving.run(instance, "curl", "-s", "http://127.0.0.1:11500/api/ps"))
    return {each["name"]: each for each in answer["models"]}


def wait_for(what: str, condition: Any, seconds: float = FOLLOWED_WITHIN_SECONDS) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(1)
    return time.monotonic() - began


@pytest.mark.usefixtures("as_it_was")
def test_a_model_comes_and_goes_while_people_chat(serving: Serving, store: Path) -> None:
    token = sign_in(serving.door, serving.administrator)
    before = processes(serving)
    instances = serving.healthy()
    with traffic(serving.door, token, users=2, tokens=6) as running:
        since = time.monotonic()
        added = serving.driver.run("models", "add", SECOND, "--store", str(store), "--env", "local")
        assert added.status == 0, added.err
        on_each, watching = sessions(serving, token), sessions(serving, token)
        assert len(on_each) == len(instances) == 2
        came = wait_for("every Open WebUI lists it", lambda: all(SECOND in offered(each) for each in on_each))
        told = {each: model_following.read(serving.context, each) for each in instances}
        wait_for("every instance has loaded it", lambda: all(SECOND in resident(serving, each) for each in instances))
        wait_for("every instance says so", lambda: check(serving).state == "ok")
        with listening(on_each) as listeners:
            removed = serving.driver.run("models", "remove", SECOND, "--env", "local")
            assert removed.status == 0, removed.err
            went = wait_for("nobody is offered it", lambda: not any(SECOND in offered(each) for each in watching))
        assert [each.cut for each in listeners] == ["", ""], "whose answer had begun got the whole of it"
        assert all(each.answers > 0 for each in listeners)
        wait_for("its memory is free", lambda: not any(SECOND in resident(serving, each) for each in instances))
        wait_for("every instance says so", lambda: check(serving).state == "ok")
        figures = running.settle(since, 600)
    print(f"models: listed everywhere after {came:.0f} s, gone after {went:.0f} s; {figures}; {told}")
    assert figures.failed == 0
    assert processes(serving) == before, "something was restarted"
    for instance in instances:
        blobs = serving.run(instance, "ls", "/var/lib/ollama/models/blobs").split()
        assert not {Store(store).manifest(SECOND).weights.file.removeprefix("blobs/")} & set(blobs)


def check(serving: Serving) -> Any:
    """The row of `verify` about the models."""
    return model_following.check(serving.context, serving.healthy())


def test_a_model_takes_the_memory_that_was_weighed(serving: Serving) -> None:
    context = serving.context
    how = role_variables.serving(context.paths, context.environment)
    needs = {each.name: each for each in models.weigh(context.environment, context.contract, context.aws, how).values()}
    for instance in serving.healthy():
        for name, loaded in resident(serving, instance).items():
            # Without a GPU a model whose output is its embedding holds that a second time, in half precision at most.
            twice = loaded["size"] - needs[name].loaded
            assert -4 * model_memory.MIB < twice < 200 * model_memory.MIB, (name, loaded["size"], needs[name])


def test_a_model_that_no_gpu_of_the_fleet_holds_is_refused_with_the_sum(
    serving: Serving, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = serving.context
    huge = model_memory.Serving(4096, 8192)
    wanted = models.ModelSet(context.environment, context.contract, context.aws, huge, Store(store))
    with pytest.raises(Exception, match=r"do not fit a GPU of .*T4.*KV cache .* \(4096 slots x 8192 tokens"):
        wanted.add({"name": SECOND})
    assert SECOND not in names(serving)
