"""How the bench reads logs and measurements, and the programs that it runs inside an instance."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from bench import faults, gateway, image, lab, memory, open_webui
from bench.instance import PROGRAMS
from tests.serving.conftest import free_port

MOLECULE_LOG = """
INFO     [default > discovery] scenario test matrix: converge, idempotence, verify
INFO     [default > converge] Executing
ollama-gpu-molecule-default : ok=262  changed=82   unreachable=0    failed=0    skipped=107  rescued=0    ignored=0
INFO     [default > converge] Executed: Successful
INFO     [default > idempotence] Executing
localhost                  : ok=5    changed=2    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0
ollama-gpu-molecule-default : ok=236  changed=3    unreachable=0    failed=0    skipped=116  rescued=0    ignored=0
INFO     [default > idempotence] Executed: Failed
INFO     [default > verify] Executing Testinfra tests found in x
default > converge: Executed: Successful
"""


def test_a_molecule_step_has_its_duration_and_the_hosts_changes() -> None:
    seconds, changed = image.steps(
        (float(second), line) for second, line in enumerate(MOLECULE_LOG.splitlines(keepends=True))
    )
    assert seconds == {"converge": 2.0, "idempotence": 3.0}
    assert changed == {"converge": 82, "idempotence": 3}


def test_the_gateways_cost_is_the_difference_of_the_pairs() -> None:
    found = gateway.added([[100.0, 101.0]] * 98 + [[100.0, 150.0], [300.0, 301.0]])
    assert (found["added_median_of_pairs"], found["added_median_of_pairs_interval"]) == (1.0, [1.0, 1.0])
    assert (found["direct_p50"], found["gateway_p50"], found["added_p50"]) == (100.0, 101.0, 1.0)
    assert (found["direct_p99"], found["gateway_p99"], found["added_p99"]) == (100.0, 150.0, 50.0)


def test_the_interval_of_a_cost_hidden_by_noise_contains_zero() -> None:
    found = gateway.added([[100.0 + 37 * n % 90, 100.4 + 53 * n % 90] for n in range(100)])
    low, high = found["added_median_of_pairs_interval"]  # type: ignore[misc]
    assert low < 0 < high


def test_a_stream_without_a_first_token_counts_as_the_slowest() -> None:
    good = {"first": 0.1, "total": 3.4, "failure": ""}
    result: dict[str, Any] = {"begun": 20, "seconds": 10.0, "processors": 2}
    result["processor_seconds"] = {"open-webui-8181": 4.0, "clients": 1.0, "whole machine": 9.0}
    found = open_webui.row(
        8, result | {"chats": [good] * 18 + [{"first": None, "total": None, "failure": "TimeoutError"}] * 2}
    )
    assert (found["first_token_p50_s"], found["first_token_p95_s"], found["failed"]) == (0.1, None, 2)
    assert not found["below_limit"]
    assert found["open_webui_cpu_ms_a_chat"] == 200
    assert open_webui.row(8, result | {"chats": [good] * 20})["below_limit"]


@pytest.mark.parametrize(
    ("below", "expected"),
    [([True, True, False], "8"), ([False], "none"), ([True, True], "8 or more: none tried was too many")],
)
def test_the_result_is_the_highest_level_below_the_limit(below: list[bool], expected: str) -> None:
    rows = [{"streams": number, "below_limit": each} for number, each in zip((4, 8, 16), below, strict=False)]
    assert open_webui.most(rows) == expected


def test_the_search_continues_between_the_last_good_and_the_first_bad_level() -> None:
    tried = [(64, True), (128, True), (256, False)]

    def following(*more: tuple[int, bool]) -> int | None:
        return open_webui.next_level([{"streams": n, "below_limit": good} for n, good in [*tried, *more]])

    assert following() == 192
    assert following((192, False)) == 160
    assert following((192, False), (160, True)) is None
    assert open_webui.next_level([{"streams": 256, "below_limit": True}]) is None
    assert open_webui.next_level([{"streams": 4, "below_limit": False}]) is None


def test_memory_is_summed_by_program() -> None:
    found = memory.programs(
        [
            "102400 ollama@0.service /opt/ollama/current/bin/ollama serve",
            "512000 ollama@0.service /opt/ollama/0.24.0/bin/ollama runner --ollama-engine --model a",
            "102400 ollama@0.service /opt/ollama/0.24.0/bin/ollama runner --ollama-engine --model b",
            "38912 open-webui@8081.service docker run --rm --entrypoint python3 x /usr/lib/open-webui/serve.py",
            "307200 - python3 /usr/local/lib/ollama-gpu/open-webui/serve.py",
            "10240 haproxy.service /usr/sbin/haproxy -Ws",
            "10240 haproxy.service /usr/sbin/haproxy -sf 96",
        ]
    )
    assert found == {
        "Ollama's runners": 600.0,
        "Open WebUI's process": 300.0,
        "Ollama's server": 100.0,
        "open-webui@8081": 38.0,
        "gateway": 20.0,
    }


def test_faults_come_from_the_newest_log_with_rows(tmp_path: Path) -> None:
    assert "make test" in faults.figures(tmp_path)["faults"]
    for age, (name, text) in enumerate([("unit", "12 passed"), ("serving", ROW), ("faults", ROW.replace("6", "7"))]):
        log = tmp_path / f"{name}.log"
        log.write_text(f"fault: of people\n{text}\n", encoding="utf-8")
        os.utime(log, (1_000_000_000 - age, 1_000_000_000 - age))
    assert faults.figures(tmp_path) == {
        "faults, measured by serving.log of 2001-09-09 01:46 UTC": [{"fault": "gateway killed", "failed": 6}]
    }


ROW = '{"fault": "gateway killed", "failed": 6}'


def test_the_deploys_log_tells_whether_it_built_the_image() -> None:
    assert lab.built("[ 0:11] image check: started\n[ 0:14] image build: started, usually 3 min 10 s")
    assert not lab.built("[ 0:11] image check: started\n[ 0:14] models: started")


def test_the_clients_measure_the_first_token_and_count_refusals() -> None:
    """Clients of a server that streams the API's events: the first token after 0.1 s, every fourth chat refused."""

    async def run_clients() -> dict[str, Any]:
        asked = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while head := await reader.readuntil(b"\r\n\r\n"):
                    assert b"Bearer secret" in head
                    await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
                    asked += 1
                    if asked % 4 == 0:
                        writer.write(b"HTTP/1.1 503 -\r\nContent-Length: 0\r\n\r\n")
                        continue
                    writer.write(b"HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for wait, event in ((0.0, ROLE), (0.1, WORD), (0.0, b"data: [DONE]\n\n")):
                        await asyncio.sleep(wait)
                        writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
                    writer.write(b"0\r\n\r\n")

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            question = {
                "token": "secret", "model": "m", "ports": [port], "streams": 30, "tokens": 1,
                "answer_seconds": 0.1, "seconds": 0.5, "pids": {},
            }  # fmt: skip
            client = await asyncio.create_subprocess_exec(
                sys.executable, "-I", PROGRAMS / "streams.py",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, _ = await client.communicate(json.dumps(question).encode())
            return dict(json.loads(out)) | {"asked": asked}

    found = asyncio.run(run_clients())
    assert found["begun"] == found["asked"]
    used = found["processor_seconds"]
    assert 0 < used["clients"] <= used["whole machine"] <= found["processors"] * found["seconds"] * 1.5
    assert {chat["failure"] for chat in found["chats"]} == {"", "status 503"}
    assert all(0.1 <= chat["first"] <= chat["total"] < 0.5 for chat in found["chats"] if not chat["failure"])


ROLE = b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
WORD = b'data: {"choices": [{"delta": {"content": " sea"}}]}\n\n'


def test_the_stand_in_paces_its_tokens() -> None:
    port = free_port()
    settings = {"port": port, "gateway": 1, "first_token_seconds": 0.05, "tokens_per_second": 50}
    running = subprocess.Popen(
        [sys.executable, "-I", PROGRAMS / "stand_in.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert running.stdin is not None
    assert running.stdout is not None
    with running:
        running.stdin.write(json.dumps(settings) + "\n")
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["pid"] == running.pid
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        began = time.monotonic()
        connection.request("POST", "/api/chat", json.dumps({"model": "m", "options": {"num_predict": 6}}))
        answer = connection.getresponse()
        first = time.monotonic() - began
        lines = [json.loads(line) for line in answer.read().splitlines()]
        took = time.monotonic() - began
        connection.close()
        running.stdin.close()
        assert len(json.loads(running.stdout.readline())["late"]) == 1
    assert first >= 0.05
    assert took >= 0.05 + 5 / 50
    assert [line["done"] for line in lines] == [False] * 6 + [True]
