"""The report of a soak: failures that an event excuses, failures that none excuses, and the JSON form."""

from __future__ import annotations

import json

import pytest

from bench.soak import report
from bench.soak.growth import MIB
from bench.soak.report import EventResult, Run
from bench.soak.samples import Process, Sample
from ollama_gpu.core.console import print_tables
from tests.serving.traffic import Chat

KILLED = EventResult("ollama-killed", began=600, ended=640, allowed_seconds=30)
ROLLED = EventResult("refresh", began=900, ended=1300, allowed_seconds=0)


def chat(began: float, seconds: float = 2, failure: str = "", user: int = 0) -> Chat:
    return Chat(user, began, 0 if failure else began + 0.5, began + seconds, failure)


def run(*chats: Chat, samples: tuple[Sample, ...] = (), **more: object) -> Run:
    arguments = {"happened": (KILLED, ROLLED), **more}
    return Run(0, 3600, chats, samples=samples, **arguments)  # type: ignore[arg-type]


def test_a_failure_within_an_events_allowed_time_is_excused() -> None:
    seen = run(chat(10), chat(599, 3, "status 503"), chat(615, 20, "TimeoutError"), chat(700))
    found = report.figures(seen)
    assert found["wrong"] == []
    assert found["chats"]["requests"] == 4
    assert found["chats"]["failed"] == 2
    killed, rolled = found["events"]
    assert (killed["failed"], killed["recovery_seconds"], killed["whole_again_seconds"]) == (2, 35, 40)
    assert (rolled["failed"], rolled["recovery_seconds"]) == (0, 0)


def test_a_failure_outside_of_any_allowed_time_is_wrong() -> None:
    late, calm, rolling = (
        chat(631, 3, "status 503", user=1), chat(100, 3, "a"), chat(1000, 3, "an answer that was cut off"),
    )  # fmt: skip
    seen = run(chat(10), late, calm, rolling)
    assert report.unexcused(seen) == [late, calm, rolling]
    assert report.figures(seen)["wrong"][0] == "minute 10.6: long: status 503"
    assert report.figures(seen)["events"][1]["failed"] == 1


def test_a_broken_lab_and_another_release_are_wrong() -> None:
    broken = EventResult("refresh", 900, 1300, 0, trouble="no whole fleet after 480 s")
    found = report.figures(run(chat(10), happened=(broken,), elsewhere="another release is deployed"))
    assert found["wrong"] == ["refresh: no whole fleet after 480 s", "another release is deployed"]


def test_a_failure_counts_for_the_latest_event_before_it() -> None:
    other = EventResult("gateway-killed", began=645, ended=650, allowed_seconds=15)
    seen = run(chat(602, 3, "status 503"), chat(643, 4, "status 502"), happened=(KILLED, other))
    first, second = report.figures(seen)["events"]
    assert (first["failed"], first["recovery_seconds"]) == (1, 5)
    assert (second["failed"], second["recovery_seconds"]) == (1, 2)


def test_a_run_without_chats_is_wrong() -> None:
    assert report.figures(run())["wrong"] == ["no user chatted"]


def test_a_phase_has_the_chats_that_began_in_it() -> None:
    seen = run(chat(10), chat(20, user=1), chat(605), chat(901), chat(3599))
    phases = report.figures(seen)["phases"]
    assert [(each["phase"], each["minute"], each["requests"]) for each in phases] == [
        ("calm", 0, 2), ("ollama-killed", 10, 1), ("refresh", 15, 2),
    ]  # fmt: skip
    assert phases[0]["first_token_p50"] == 0.5
    assert report.figures(seen)["habits"]["long"]["requests"] == 1


def test_a_leak_is_wrong_and_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    def sample(minute: int) -> Sample:
        process = Process("i-1", "serve.py", 7, 0.0, (300 + 2 * minute) * MIB, 20, 10)
        return Sample(60.0 * minute, (process,), {"i-1": 5}, root=1000 + minute)

    found = report.figures(run(chat(10), samples=tuple(sample(minute) for minute in range(60))))
    assert found["wrong"] == ["i-1 serve.py: memory grows by 120.0 MiB an hour"]
    assert found["disk_of_root_bytes"] == 59
    assert found["judged"] == {"memory": 1, "sockets": 1, "files": 1, "disk": 1}
    found = json.loads(json.dumps(found))
    print_tables(report.tables(found))
    output = capsys.readouterr().out
    assert "memory: 1 judged" in output
    assert any("serve.py" in line and "120.0 MiB" in line and "leak" in line for line in output.splitlines())
