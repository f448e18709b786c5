"""A folder's background process: start it, find it again, stop it, report errors."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ollama_gpu.core.background import BackgroundProcess
from ollama_gpu.core.errors import UserError

MODULE = "http.server"  # a process of the standard library that runs until it is ended


@pytest.fixture
def process(tmp_path: Path) -> Iterator[BackgroundProcess]:
    process = BackgroundProcess(tmp_path / "folder", "server", MODULE, "The server")
    yield process
    process.stop()


def start(process: BackgroundProcess) -> subprocess.Popen[bytes]:
    with process.locked():
        return process.start(["--bind", "127.0.0.1", "0"], {"port": 1})


def test_started_process_is_found_with_its_details_and_stopped(process: BackgroundProcess) -> None:
    assert process.record() is None
    assert process.stop() is False
    child = start(process)
    record = process.record()
    assert record is not None
    assert (record.pid, record.details) == (child.pid, {"port": 1})
    assert os.getsid(child.pid) != os.getsid(0)  # Ctrl-C in the driver must not reach it
    assert process.stop() is True
    assert not psutil.pid_exists(child.pid)
    assert process.record() is None


def test_process_is_found_at_once_however_busy_the_machine_is(process: BackgroundProcess) -> None:
    """Right after exec the kernel shows an empty command line: 19 of 400 starts on two busy processors."""
    for _ in range(20):
        start(process)
        assert process.record() is not None
        process.stop()


def test_killed_process_is_not_running(process: BackgroundProcess) -> None:
    child = start(process)
    child.kill()
    child.wait()
    assert process.record() is None
    assert process.stop() is False


def test_reused_process_id_is_neither_found_nor_stopped(process: BackgroundProcess) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        process.folder.mkdir()
        record = {"pid": bystander.pid, "created": psutil.Process(bystander.pid).create_time()}
        (process.folder / "server.json").write_text(json.dumps(record))
        assert process.record() is None
        assert process.stop() is False
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")


def test_process_whose_parent_does_not_reap_it_is_stopped(process: BackgroundProcess) -> None:
    """The shell starts the process and never waits for it, so that the ended process stays a zombie."""
    process.folder.mkdir()
    script = f"{sys.executable} -m {MODULE} --bind 127.0.0.1 0 & echo $!; exec sleep 60"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout
        started = psutil.Process(int(parent.stdout.readline()))
        record = {"pid": started.pid, "created": started.create_time()}
        (process.folder / "server.json").write_text(json.dumps(record))
        while MODULE not in started.cmdline():  # still the shell, before exec
            pass
        try:
            assert process.stop(seconds=60) is True
            assert started.status() == psutil.STATUS_ZOMBIE
        finally:
            parent.kill()


@pytest.mark.parametrize("content", ['{"pid": 1', "[]", '"text"', '{"pid": 1}'])
def test_truncated_or_foreign_record_is_no_process(process: BackgroundProcess, content: str) -> None:
    process.folder.mkdir()
    (process.folder / "server.json").write_text(content)
    assert process.record() is None


def test_process_that_ends_while_starting_is_reported_with_its_log(tmp_path: Path) -> None:
    process = BackgroundProcess(tmp_path, "server", MODULE, "The server")
    with process.locked():
        child = process.start(["no-port"])
    with pytest.raises(UserError, match=r"(?s)The server ended while starting.*invalid int value"):
        process.wait(child.pid, lambda: False, 30)
    process.abandon(child)
    assert process.record() is None


def test_process_that_is_not_ready_in_time_is_reported(process: BackgroundProcess) -> None:
    child = start(process)
    with pytest.raises(UserError, match="did not start within 0 s") as caught:
        process.wait(child.pid, lambda: False, 0)
    assert caught.value.remedy


def test_folder_that_cannot_be_made_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = BackgroundProcess(tmp_path / "file" / "folder", "server", MODULE, "The server")
    with pytest.raises(UserError, match="cannot write"), process.locked():
        pass


def test_full_disk_is_a_user_error(process: BackgroundProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UserError, match="No space left") as caught, process.locked():
        pass
    assert "disk space" in caught.value.remedy
