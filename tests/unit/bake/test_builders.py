"""A killed bake's builder is removed, a living one's never."""

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
from ollama_gpu.errors import UserError

HERE = socket.gethostname()


def me() -> Maker:
    return Maker(HERE, os.getpid(), int(psutil.Process().create_time()))


def judge(maker: Maker, takeover: bool = False) -> list[str]:
    return builders.abandoned([Builder("b", maker.label)], takeover, builders.alive, time.time())


def test_a_label_says_who_bakes() -> None:
    assert Maker.parse(me().label) == me()
    assert Maker.parse("") is None


def test_a_bake_that_runs_is_left_alone() -> None:
    with pytest.raises(UserError, match=rf"process {os.getpid()} on {HERE}"):
        judge(me())


def test_a_bake_that_is_dead_for_certain_can_be_taken_over() -> None:
    assert judge(me(), takeover=True) == ["b"]


def test_a_killed_bake_left_its_builder() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert judge(Maker(HERE, gone.pid, int(time.time()))) == ["b"]


def test_a_pid_that_another_program_has_now_is_no_bake() -> None:
    assert judge(Maker(HERE, os.getpid(), int(psutil.Process().create_time()) - 3600)) == ["b"]


def test_another_machines_bake_counts_until_it_is_too_old() -> None:
    with pytest.raises(UserError, match="elsewhere"):
        judge(Maker("elsewhere", 1, int(time.time()) - 60))
    assert judge(Maker("elsewhere", 1, int(time.time() - builders.ABANDONED_AFTER_SECONDS - 60))) == ["b"]


def test_a_builder_that_nobody_signed_is_removed() -> None:
    assert builders.abandoned([Builder("b", "")], False, builders.alive, time.time()) == ["b"]


def test_another_checkouts_living_builder_is_none_of_ours() -> None:
    theirs = [Builder("b", me().label, ours=False)]
    for takeover in (False, True):
        assert builders.abandoned(theirs, takeover, builders.alive, time.time()) == []


def test_another_checkouts_dead_builder_is_removed_for_it() -> None:
    dead = Maker(HERE, os.getpid(), int(psutil.Process().create_time()) - 3600)
    assert builders.abandoned([Builder("b", dead.label, ours=False)], False, builders.alive, time.time()) == ["b"]
