"""Samples of real processes, and parsing of Docker's disk sizes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.soak import samples

HOLDS = """
import socket, subprocess, sys
kept = [socket.socket() for _ in range(7)] + [open("/dev/null") for _ in range(3)]
ballast = bytearray(b"x") * (48 << 20)
child = subprocess.Popen([sys.executable, "-c", "print('up', flush=True); input()"], stdin=subprocess.PIPE)
input()
child.communicate(b"\\n")
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    yield process
    process.communicate("\n")


def test_a_sample_has_the_resources_of_a_process_and_of_its_child(parent: subprocess.Popen[str]) -> None:
    first, child = samples.tree("here", parent.pid)
    assert (first.pid, first.where) == (parent.pid, "here")
    assert first.sockets == 7
    assert first.files >= 7 + 3 + 3
    assert first.rss > 48 << 20 > child.rss
    assert child.sockets == 0
    assert first.key == next(samples.tree("here", parent.pid)).key


def test_an_ended_process_is_left_out() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert list(samples.tree("here", process.pid)) == []


def test_a_program_has_the_name_of_its_script() -> None:
    assert samples.program(["/usr/bin/python3", "-I", "/usr/local/sbin/ollama-gpu-health", "x.json"]) == (
        "ollama-gpu-health"
    )
    assert (
        samples.program([sys.executable, "-m", "ollama_gpu.local.lab.follow", "--env", "local"])
        == "ollama_gpu.local.lab.follow"
    )
    assert samples.program(["/opt/ollama/0.24.0/bin/ollama", "runner", "--port", "1"]) == "ollama runner"
    assert samples.program(["postgres: owui owui 10.0.0.1(33) idle"]) == "postgres"
    assert samples.program(["/usr/bin/python3", f"/run/stand-in-{'5' * 12}.zip", "a"]) == "stand-in"
    assert os.getpid() in [each.pid for each in samples.tree("here", os.getpid())]


def test_disk_usage_includes_volumes() -> None:
    containers = {
        "i-1": {
            "SizeRw": 1000,
            "Mounts": [{"Type": "volume", "Name": "a"}, {"Type": "bind", "Source": "/sys"}],
        },
        "data": {"SizeRw": None, "Mounts": [{"Type": "volume", "Name": "b"}]},
    }
    volumes = [{"Name": "a", "Size": "918.9MB"}, {"Name": "b", "Size": "2.5kB"}, {"Name": "c", "Size": "N/A"}]
    assert samples.disks(containers, volumes) == {"i-1": 918_901_000, "data": 2500}
    assert samples.size("0B") == samples.size("N/A") == 0
    assert samples.size("1.2GB") == 1_200_000_000
