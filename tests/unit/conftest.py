"""Programs that unit tests drive for real, installed where that can be done."""

from __future__ import annotations

import os
import shutil

import pytest

from ollama_gpu.core import paths
from ollama_gpu.local.lab import engine
from ollama_gpu.terraform.progress import progress_view


@pytest.fixture(scope="session")
def haproxy(request: pytest.FixtureRequest) -> str:
    """The path of an HAProxy; as root on Debian it is installed by apt, which is said aloud."""
    if found := find_haproxy():
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("needs haproxy: apt-get install haproxy, or HAPROXY=path")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        engine.install(
            ["haproxy"], paths.locate().work / "tests", progress_view(console_is_terminal=False, quiet=False)
        )
    installed = find_haproxy()
    assert installed, "apt-get installed haproxy, but it cannot be found"
    return installed


def find_haproxy() -> str | None:
    return os.environ.get("HAPROXY") or shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
