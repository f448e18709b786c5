"""The gateway, tested with a real HAProxy with the role's configuration between scripted upstreams."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.collection.gateway_bench import ANSIBLE, Gateway, wait_for
from tests.unit.collection.programs import load

pytestmark = pytest.mark.skipif(not ANSIBLE, reason="needs ansible-playbook, which renders the role's templates")

MODEL = {"model": "gemma3:270m"}
SLOTS = 4  # two Ollama with two slots each
QUEUE = 3


@pytest.fixture(scope="module")
def gateway(haproxy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(
        tmp_path_factory.mktemp("gateway"),
        gateway_slots=2,
        gateway_queue_limit=QUEUE,
        gateway_queue_seconds=2,
        gateway_upload_limit_mib=1,
    )
    try:
        running.start(haproxy)
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def as_it_was(gateway: Gateway) -> Iterator[None]:
    yield
    gateway.health.ready = True
    gateway.health.down.clear()
    for server in (*gateway.ollama, *gateway.webui):
        server.statuses.clear()
        server.release.set()
        server.most_busy = 0
    wait_for(lambda: gateway.ready() and not gateway.busy(), what="the gateway is as it was before the test")


def metric_names(line: dict[str, Any]) -> set[str]:
    return {metric["Name"] for directive in line["_aws"]["CloudWatchMetrics"] for metric in directive["Metrics"]}


# Slots and queue


def test_no_ollama_has_more_requests_than_slots_and_the_rest_wait(gateway: Gateway) -> None:
    with gateway.held(SLOTS + QUEUE) as answers:
        wait_for(lambda: gateway.busy() == SLOTS)
        wait_for(lambda: f"ollama,BACKEND,{QUEUE}," in gateway.admin("show stat"), what="the others wait")
        assert [server.busy for server in gateway.ollama] == [2, 2]
    assert [answer.status for answer in answers] == [200] * (SLOTS + QUEUE)
    assert max(server.most_busy for server in gateway.ollama) == 2


def test_full_queue_rejects_requests_at_once_while_streams_continue(gateway: Gateway) -> None:
    with gateway.held(SLOTS + QUEUE) as answers:
        wait_for(lambda: f"ollama,BACKEND,{QUEUE}," in gateway.admin("show stat"))
        refused = [gateway.ask("/api/chat", MODEL) for _ in range(20)]
        assert {answer.status for answer in refused} == {503}
        assert {answer.getheader("Retry-After") for answer in refused} == {"5"}
        assert "queue is full" in json.loads(refused[0].text)["error"]
        # The median, because a busy test machine can delay one of twenty.
        assert sorted(answer.seconds for answer in refused)[10] < 0.05
        assert gateway.busy() == SLOTS
        line = gateway.logged(refused[0])
    assert [answer.status for answer in answers] == [200] * (SLOTS + QUEUE)
    assert (line["Requests"], line["Rejected"]) == (1, 1)
    assert metric_names(line) == {"Requests", "Rejected"}


def test_a_wait_ends_with_503_and_counts_as_a_rejection(gateway: Gateway) -> None:
    with gateway.held(SLOTS):
        wait_for(lambda: gateway.busy() == SLOTS)
        late = gateway.ask("/api/chat", MODEL)
    assert late.status == 503
    assert late.getheader("Retry-After") == "5"
    assert 1.9 < late.seconds < 5
    line = gateway.logged(late)
    assert (line["Termination"], line["Rejected"]) == ("sQ", 1)


def test_disconnected_client_does_not_get_a_slot(gateway: Gateway) -> None:
    with gateway.held(SLOTS):
        wait_for(lambda: gateway.busy() == SLOTS)
        with gateway.begun("/api/chat") as identity:
            wait_for(lambda: "ollama,BACKEND,1," in gateway.admin("show stat"), what="it waits in the queue")
        wait_for(lambda: "ollama,BACKEND,0," in gateway.admin("show stat"), 1.5, "it left the queue")
    line = gateway.line(identity)
    assert line["Termination"].startswith("C")
    assert metric_names(line) == {"Requests", "Rejected"}


def test_embeddings_do_not_wait_behind_chats(gateway: Gateway) -> None:
    with gateway.held(SLOTS + QUEUE):
        wait_for(lambda: f"ollama,BACKEND,{QUEUE}," in gateway.admin("show stat"))
        answer = gateway.ask("/api/embed", {"model": "gemma3:270m", "stream": False})
        assert answer.status == 200
        assert answer.seconds < 1


def test_a_stream_outlives_a_reload(gateway: Gateway) -> None:
    answers: list[Any] = []
    asked = {**MODEL, "tokens": 40, "pace": 0.05}
    stream = threading.Thread(target=lambda: answers.append(gateway.ask("/api/chat", asked)))
    stream.start()
    wait_for(lambda: gateway.busy() == 1)
    before = gateway.admin("show info")
    gateway.reload()
    wait_for(lambda: gateway.admin("show info") != before and gateway.ready(), what="the new worker answers")
    assert gateway.ask("/api/chat", MODEL).status == 200
    stream.join(30)
    assert len(answers[0].text.splitlines()) == 40


# Allowed requests


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/pull"),
        ("POST", "/api/push"),
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("DELETE", "/api/delete"),
        ("POST", "/api/blobs/sha256-0"),
        ("GET", "/"),
        ("GET", "/api/chat"),
        ("POST", "//api/chat"),
        ("POST", "/api/chat/"),
        ("POST", "/api/%63hat"),
        ("POST", "/API/chat"),
        ("POST", "/v1/completions"),
        ("POST", "/api/anything-new"),
        ("POST", "/api/tags"),
    ],
)
def test_forbidden_path_never_reaches_ollama(gateway: Gateway, method: str, path: str) -> None:
    before = sum(len(server.seen) for server in gateway.ollama)
    assert gateway.ask(path, MODEL, method).status == 403
    assert sum(len(server.seen) for server in gateway.ollama) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/chat"),
        ("POST", "/api/generate"),
        ("POST", "/api/embed"),
        ("POST", "/api/embeddings"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/embeddings"),
        ("POST", "/api/show"),
        ("GET", "/v1/models"),
        ("GET", "/api/tags"),
        ("GET", "/api/ps"),
        ("GET", "/api/version"),
    ],
)
def test_paths_that_open_webui_needs_are_served(gateway: Gateway, method: str, path: str) -> None:
    assert gateway.ask(path, MODEL if method == "POST" else None, method).status == 200


def test_model_list_comes_from_the_health_service_or_else_from_ollama(gateway: Gateway) -> None:
    assert json.loads(gateway.ask("/api/tags", None, "GET").text) == {"models": []}
    gateway.admin("disable server chat_models/health")
    try:
        assert json.loads(gateway.ask("/api/tags", None, "GET").text)["path"] == "/api/tags"
    finally:
        gateway.admin("enable server chat_models/health")


@pytest.mark.parametrize(
    "body", [{"keep_alive": 0}, {"keep_alive": "0s"}, {"options": {"num_ctx": 8}}, {"options": {"num_gpu": 0}}]
)
def test_request_that_would_reload_the_model_is_rejected(gateway: Gateway, body: dict[str, Any]) -> None:
    answer = gateway.ask("/api/chat", {**MODEL, **body})
    assert answer.status == 400
    assert "Leave it out" in json.loads(answer.text)["error"]
    assert gateway.ask("/api/chat", {**MODEL, "options": {"num_predict": 1, "temperature": 0}}).status == 200


# The log


def test_log_line_of_a_stream_matches_the_clients_times(gateway: Gateway) -> None:
    asked = {**MODEL, "delay": 0.3, "tokens": 20, "pace": 0.02}
    answers: list[Any] = [gateway.ask("/api/chat", asked) for _ in range(5)]
    lines = [gateway.logged(answer) for answer in answers]
    # Medians, because a busy test machine sometimes delays the client.
    first = [answer.first * 1000 - line["TimeToFirstToken"] for answer, line in zip(answers, lines, strict=True)]
    total = [answer.seconds * 1000 - line["TotalTime"] for answer, line in zip(answers, lines, strict=True)]
    assert statistics.median(first) == pytest.approx(0, abs=50), first
    assert statistics.median(total) == pytest.approx(0, abs=50), total
    line = lines[0]
    assert line["QueueTime"] < 50
    assert line["Model"] == "gemma3:270m"
    assert line["AutoScalingGroupName"] == "ollama-gpu-test-interactive"
    assert line["_aws"]["LogGroupName"] == "/ollama-gpu/test/gateway"
    assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 10


def test_the_first_token_of_a_request_that_waited_includes_the_wait(gateway: Gateway) -> None:
    with gateway.held(SLOTS):
        wait_for(lambda: gateway.busy() == SLOTS)
        threading.Timer(0.5, gateway.let_go).start()
        answer: Any = gateway.ask("/api/chat", MODEL)
    line = gateway.logged(answer)
    assert line["QueueTime"] > 300
    assert line["TimeToFirstToken"] >= line["QueueTime"]
    assert line["TimeToFirstToken"] == pytest.approx(answer.first * 1000, abs=60)


def test_the_metrics_names_units_and_dimensions_are_the_contracts(gateway: Gateway) -> None:
    line = gateway.logged(gateway.ask("/api/chat", MODEL))
    promised = {
        name: (metric["unit"], metric["dimensions"])
        for name, metric in gateway.contract["metrics"]["names"].items()
        if metric["made_by"] == "gateway_log"
    }
    published = {
        metric["Name"]: (metric["Unit"], directive["Dimensions"])
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
    assert published == promised
    assert {directive["Namespace"] for directive in line["_aws"]["CloudWatchMetrics"]} == {"OllamaGPU"}
    dimensions = {name for _, sets in promised.values() for one in sets for name in one}
    assert (promised.keys() | dimensions) <= line.keys()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"stream": False}),
        ("/api/embed", {"stream": False}),
        ("/v1/chat/completions", {"stream": False}),
    ],
)
def test_answer_without_stream_has_no_first_token(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    line = gateway.logged(gateway.ask(path, {**MODEL, **body}))
    assert metric_names(line) == {"QueueTime", "TotalTime", "Requests", "Rejected"}
    assert "TimeToFirstToken" not in line


def test_a_server_sent_stream_has_a_first_token(gateway: Gateway) -> None:
    answer = gateway.ask("/v1/chat/completions", {**MODEL, "type": "text/event-stream"})
    assert "TimeToFirstToken" in metric_names(gateway.logged(answer))


def test_failed_request_is_counted_without_times(gateway: Gateway) -> None:
    for server in gateway.ollama:
        server.statuses["/api/chat"] = 404
    line = gateway.logged(gateway.ask("/api/chat", MODEL))
    assert metric_names(line) == {"Requests", "Rejected"}
    assert line["Rejected"] == 0
    assert not {"TimeToFirstToken", "QueueTime", "TotalTime"} & line.keys()


@pytest.mark.parametrize(
    ("asked", "published"),
    [
        ("GEMMA3:270M", "gemma3:270m"),
        ("llama3", "llama3:latest"),
        ("no-such-model", None),
        ('"},"x":{"é' + "\\" * 50, None),
        ("m" * 5000, None),
    ],
)
def test_only_known_models_become_a_dimension(gateway: Gateway, asked: str, published: str | None) -> None:
    line = gateway.logged(gateway.ask("/api/generate", {"model": asked}))
    dimensions = [sorted(one) for directive in line["_aws"]["CloudWatchMetrics"] for one in directive["Dimensions"]]
    assert (["AutoScalingGroupName", "Model"] in dimensions) == (published is not None)
    assert line["Model"] == (published or "(other)")


def test_models_get_and_lose_their_dimension_at_run_time(gateway: Gateway) -> None:
    program = load("model_set", "ollama-gpu-model-set")
    fields = dict.fromkeys(program.Settings.__dataclass_fields__, "")
    names = gateway.folder / "models.map"
    settings = {**fields, "gateway_names": str(names), "gateway_socket": gateway.socket}
    host = program.Host(program.Settings(**settings))
    before = names.read_text()
    try:
        host.tell_gateway(program.gateway_names([{"name": "New:1b"}, {"name": "llama3:latest"}]))
        assert gateway.logged(gateway.ask("/api/generate", {"model": "new:1B"}))["Model"] == "new:1b"
        assert gateway.logged(gateway.ask("/api/generate", {"model": "llama3"}))["Model"] == "llama3:latest"
        assert gateway.logged(gateway.ask("/api/generate", MODEL))["Model"] == "(other)"
    finally:
        host.tell_gateway(program.gateway_names([{"name": "Gemma3:270m"}, {"name": "llama3:latest"}]))
    assert names.read_text() == before, "same as what the role writes for this set"
    assert gateway.logged(gateway.ask("/api/generate", MODEL))["Model"] == "gemma3:270m"


def test_missing_gateway_is_reported(tmp_path: Path) -> None:
    program = load("model_set", "ollama-gpu-model-set")
    (tmp_path / "models.map").touch()
    fields = dict.fromkeys(program.Settings.__dataclass_fields__, "")
    places = {"gateway_names": str(tmp_path / "models.map"), "gateway_socket": str(tmp_path / "no.sock")}
    with pytest.raises(program.Problem, match=r"The gateway does not answer on .*no\.sock"):
        program.Host(program.Settings(**{**fields, **places})).tell_gateway({})


def test_other_requests_are_logged_without_metrics(gateway: Gateway) -> None:
    assert "_aws" not in gateway.logged(gateway.ask("/api/tags", None, "GET"))
    assert "_aws" not in gateway.logged(gateway.ask("/api/pull", MODEL))


def test_a_client_that_leaves_before_the_first_token_counts_without_times(gateway: Gateway) -> None:
    with gateway.begun("/api/chat", delay=1.0) as identity:
        wait_for(lambda: gateway.busy() == 1)
    line = gateway.line(identity)
    assert metric_names(line) == {"Requests", "Rejected"}
    assert (line["Rejected"], line["Termination"]) == (0, "CH")


# The front door


def test_user_stays_on_one_process_until_it_fails(gateway: Gateway) -> None:
    first = gateway.front("/chat")
    cookie = str(first.getheader("Set-Cookie"))
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=Lax"))
    headers = {"Cookie": cookie.split(";")[0]}
    home = {json.loads(gateway.front("/chat", headers).text)["port"] for _ in range(6)}
    assert len(home) == 1
    index = [server.server_port for server in gateway.webui].index(home.pop())
    gateway.webui[index].statuses["/ready"] = 503
    away = gateway.webui[1 - index].server_port
    wait_for(lambda: json.loads(gateway.front("/chat", headers).text)["port"] == away)


def test_a_websocket_passes(gateway: Gateway) -> None:
    context = ssl._create_unverified_context()  # noqa: S323
    context.set_alpn_protocols(["http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", gateway.ports["front_door"])) as plain,
        context.wrap_socket(plain) as secure,
    ):
        key = base64.b64encode(os.urandom(16)).decode()
        secure.sendall(
            f"GET /ws/socket.io/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        assert b" 101 " in secure.recv(4000)
        secure.sendall(b"token")
        assert secure.recv(100) == b"TOKEN"


def test_forged_client_headers_are_ignored(gateway: Gateway) -> None:
    forged = {
        "X-Forwarded-For": "1.2.3.4, 203.0.113.9",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Email": "admin@x",
        "X-Real-Ip": "1.2.3.4",
    }
    gateway.front("/forged", forged)
    headers = next(head for server in gateway.webui for path, head in server.seen if path == "/forged")
    seen = {name.lower(): value for name, value in headers.items()}
    assert seen["x-forwarded-for"] == "203.0.113.9"  # the address that the load balancer appended
    assert seen["x-forwarded-proto"] == "https"
    assert not {"x-forwarded-email", "x-real-ip"} & seen.keys()


def test_answers_have_security_headers_and_no_server_name(gateway: Gateway) -> None:
    answer = gateway.front("/chat")
    assert answer.getheader("Strict-Transport-Security") == "max-age=31536000"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Server") is None


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ready", 404),
        ("/health", 404),
        ("/health/db", 404),
        ("/healthz/details", 404),
        ("/ollama/api/chat", 403),
        ("/ollama/api/generate", 403),
        ("/ollama/api/pull", 403),
        ("/ollama/v1/chat/completions", 403),
        ("/ollama/api/tags", 200),
        ("/api/config", 200),
    ],
)
def test_details_and_ollama_are_not_reachable_through_the_front_door(gateway: Gateway, path: str, status: int) -> None:
    assert gateway.front(path).status == status


def test_figures_and_the_gateway_listen_on_this_host_only(gateway: Gateway) -> None:
    with Path("/proc/net/tcp").open() as table:
        listening = {line.split()[1] for line in table if line.split()[3] == "0A"}
    for name in ("gateway", "metrics"):
        assert {address.split(":")[0] for address in listening if address.endswith(f":{gateway.ports[name]:04X}")} == {
            "0100007F"
        }


def test_an_upload_above_the_limit_is_refused(gateway: Gateway) -> None:
    assert gateway.front("/api/v1/files/", {"Content-Length": str(2 << 20)}, "POST").status == 413


def test_metrics_page_has_the_metrics_that_the_agent_reads(gateway: Gateway) -> None:
    import http.client

    with gateway.held(SLOTS + 1):
        wait_for(lambda: "ollama,BACKEND,1," in gateway.admin("show stat"))
        connection = http.client.HTTPConnection("127.0.0.1", gateway.ports["metrics"], timeout=10)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        connection.close()
    assert 'haproxy_backend_current_queue{proxy="ollama"} 1' in page
    for server in ("gpu0", "gpu1"):
        assert f'haproxy_server_current_sessions{{proxy="ollama",server="{server}"}} 2' in page
        assert f'haproxy_server_limit_sessions{{proxy="ollama",server="{server}"}} 2' in page


# Health of the instance (docs/decisions/0007-health.md)


def test_instance_is_not_ready_when_its_health_service_is_not(gateway: Gateway) -> None:
    gateway.health.ready = False
    wait_for(lambda: gateway.front("/healthz").status == 503, 4)
    gateway.health.ready = True
    wait_for(lambda: gateway.front("/healthz").status == 200, 4)


def test_the_instance_is_not_ready_when_it_drains(gateway: Gateway) -> None:
    gateway.admin("disable server instance/health")
    try:
        assert gateway.front("/healthz").status == 503
        assert gateway.front("/chat").status == 200
        assert gateway.ask("/api/chat", MODEL).status == 200
    finally:
        gateway.admin("enable server instance/health")


def test_failed_database_does_not_make_the_instance_unready(gateway: Gateway) -> None:
    for server in gateway.webui:
        server.statuses["/ready"] = 503
    wait_for(lambda: "open_webui,BACKEND" in gateway.admin("show stat") and not up(gateway, "open_webui"), 15)
    assert gateway.front("/healthz").status == 200
    assert gateway.front("/chat").status == 200  # a live process answers


def up(gateway: Gateway, backend: str) -> bool:
    rows = gateway.admin("show stat").splitlines()
    return next(row for row in rows if row.startswith(f"{backend},BACKEND")).split(",")[17] == "UP"


def test_dead_processes_make_the_instance_unready(gateway: Gateway) -> None:
    for server in gateway.webui:
        server.statuses["/health"] = 500
    wait_for(lambda: gateway.front("/healthz").status == 503, 25)


def test_ollama_off_its_gpu_gets_no_chats_and_half_of_them_are_enough(gateway: Gateway) -> None:
    gateway.health.down[str(gateway.ports["ollama0"])] = "down #only 40 % of the model is on the GPU"
    wait_for(lambda: ",DOWN (agent)," in gateway.admin("show stat"), 8)
    before = len(gateway.ollama[0].seen)
    assert {gateway.ask("/api/chat", MODEL).status for _ in range(6)} == {200}
    assert len(gateway.ollama[0].seen) == before
    assert gateway.front("/healthz").status == 200
    gateway.health.down[str(gateway.ports["ollama1"])] = "down #too"
    wait_for(lambda: gateway.front("/healthz").status == 503, 8)
    answer = gateway.ask("/api/chat", MODEL)
    assert (answer.status, answer.getheader("Retry-After")) == (503, "5")
