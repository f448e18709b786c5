"""Leak detection: steady growth, fast enough and for long enough, is a leak."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from bench.soak import growth
from bench.soak.growth import MIB, judge
from bench.soak.samples import Process, Sample

HOUR = 3600


def points(value: Callable[[float], float], seconds: float = HOUR) -> list[tuple[float, float]]:
    """One sample a minute, from second 1000 on."""
    return [(1000 + at, value(at)) for at in range(0, int(seconds), 60)]


def noisy(seed: int, spread: float) -> Callable[[], float]:
    chance = random.Random(seed)  # noqa: S311 - noise, no secret
    return lambda: chance.gauss(0, spread)


def test_steady_growth_is_a_leak_with_its_slope() -> None:
    noise = noisy(1, 2 * MIB)
    found = judge("memory", "data", "postgres", points(lambda at: 100 * MIB + 80 * MIB * at / HOUR + noise()))
    assert found.judged
    assert found.leak
    assert found.an_hour == pytest.approx(80 * MIB, rel=0.1)
    assert found.last - found.first == pytest.approx(found.an_hour * found.seconds / HOUR)


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_not_a_leak(seed: int) -> None:
    noise = noisy(seed, 10 * MIB)
    assert not judge("memory", "i-1", "serve.py", points(lambda _: 400 * MIB + noise())).leak


def test_a_cache_that_fills_up_is_not_a_leak() -> None:
    def filling(at: float) -> float:
        return 300 * MIB + 200 * MIB * (1 - math.exp(-at / 600))

    found = judge("memory", "i-1", "serve.py", points(filling))
    assert found.an_hour > growth.LIMITS["memory"].an_hour
    assert found.judged
    assert not found.leak


def test_the_first_minutes_do_not_count() -> None:
    found = judge("sockets", "i-1", "haproxy", points(lambda at: min(at, growth.WARM_SECONDS)))
    assert found.judged
    assert (found.an_hour, found.leak) == (0, False)


def test_a_briefly_observed_process_is_shown_but_not_judged() -> None:
    found = judge("memory", "i-1", "ollama runner", points(lambda at: at * MIB, 15 * 60))
    assert not found.judged
    assert not found.leak
    assert found.an_hour == pytest.approx(HOUR * MIB)


@pytest.mark.parametrize(("what", "rate", "leak"), [("sockets", 60, True), ("files", 30, False), ("files", 60, True)])
def test_sockets_and_files_have_separate_limits(what: str, rate: float, leak: bool) -> None:
    assert judge(what, "i-1", "haproxy", points(lambda at: 20 + rate * at / HOUR)).leak is leak


def test_the_embedded_aws_may_grow_with_its_data_points() -> None:
    def kept(at: float) -> float:
        return 300 * MIB + 120 * MIB * at / HOUR

    assert not judge("memory", "embedded-aws", "server", points(kept)).leak
    assert judge("memory", "follower", "follow", points(kept)).leak


def test_the_database_may_keep_files_open() -> None:
    def kept(at: float) -> float:
        return 40 + 100 * at / HOUR

    assert not judge("files", "data", "postgres", points(kept)).leak
    assert judge("files", "front-door", "haproxy", points(kept)).leak
    assert judge("sockets", "data", "postgres", points(kept)).leak


def test_processes_with_a_reused_pid_are_separate() -> None:
    """Two processes of 30 minutes, the second one larger: as one series they would look like a leak."""

    def sample(at: int) -> Sample:
        first = at < 1800
        born, memory = (0.0, 100) if first else (1800.0, 300)
        process = Process("i-1", "serve.py", 77, born, memory * MIB, files=10, sockets=5)
        return Sample(float(at), (process,), {"i-1": 10 * MIB + 600 * MIB * at // HOUR}, 0)

    found = growth.of([sample(at) for at in range(0, HOUR, 60)])
    memory = [each for each in found if each.what == "memory"]
    assert [each.an_hour for each in memory] == [0, 0]
    assert all(each.judged for each in memory)
    assert [each.where for each in found if each.leak] == ["i-1"]
    assert growth.worst(found, "disk", 1)[0].leak
