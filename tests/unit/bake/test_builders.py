"""Tests of ollama_gpu.bake.builders: a killed bake's builder is removed, a running bake's is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from ollama_gpu.bake import builders
from ollama_gpu.bake.builders import Builder, Maker
from ollama_gpu.core.errors import UserError

THIS_HOST = socket.gethostname()


def this_process() -> Maker:
    return Maker(THIS_HOST, os.getpid(), int(psutil.Process().create_time()))


def abandoned(maker: Maker, takeover: bool = False) -> list[str]:
    return builders.abandoned([Builder("b", maker.label)], takeover, builders.alive, time.time())


def test_a_label_is_parsed_to_its_maker() -> None:
    assert Maker.parse(this_process().label) == this_process()
    assert Maker.parse("") is None


def test_the_builder_of_a_running_bake_is_not_removed() -> None:
    with pytest.raises(UserError, match=rf"process {os.getpid()} on {THIS_HOST}"):
        abandoned(this_process())


def test_a_takeover_removes_the_builder_of_a_running_bake() -> None:
    assert abandoned(this_process(), takeover=True) == ["b"]


def test_the_builder_of_a_killed_bake_is_removed() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert abandoned(Maker(THIS_HOST, ended.pid, int(time.time()))) == ["b"]


def test_a_builder_is_removed_when_another_program_has_its_pid() -> None:
    assert abandoned(Maker(THIS_HOST, os.getpid(), int(psutil.Process().create_time()) - 3600)) == ["b"]


def test_a_bake_on_another_machine_counts_as_running_until_it_is_too_old() -> None:
    with pytest.raises(UserError, match="elsewhere"):
        abandoned(Maker("elsewhere", 1, int(time.time()) - 60))
    assert abandoned(Maker("elsewhere", 1, int(time.time() - builders.ABANDONED_AFTER_SECONDS - 60))) == ["b"]


def test_a_builder_without_a_maker_is_removed() -> None:
    assert builders.abandoned([Builder("b", "")], False, builders.alive, time.time()) == ["b"]


def test_a_running_builder_of_another_checkout_is_skipped() -> None:
    others = [Builder("b", this_process().label, ours=False)]
    for takeover in (False, True):
        assert builders.abandoned(others, takeover, builders.alive, time.time()) == []


def test_a_dead_builder_of_another_checkout_is_removed() -> None:
    dead = Maker(THIS_HOST, os.getpid(), int(psutil.Process().create_time()) - 3600)
    assert builders.abandoned([Builder("b", dead.label, ours=False)], False, builders.alive, time.time()) == ["b"]
