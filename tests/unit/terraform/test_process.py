"""Running a program: output, log and interrupts, with small programs instead of Terraform."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.log import RunLog, prune
from ollama_gpu.terraform.process import Ended, Listener, run

DEADLINE = 20.0


def program(text: str) -> list[str]:
    return [sys.executable, "-u", "-c", text]


def start(
    folder: Path, argv: list[str], log_stdout: bool = True, tick: object = None
) -> tuple[Ended, list[bytes], RunLog]:
    lines: list[bytes] = []
    log = RunLog(folder / "logs", "apply", argv)
    on_tick = tick if callable(tick) else lambda: None
    listener = Listener(lines.append, on_tick, lambda _count: None, lambda _error: None)
    return run(argv, folder, os.environ, log, listener, log_stdout), lines, log


def test_lines_are_complete_regardless_of_chunks(tmp_path: Path) -> None:
    text = "import sys,time\nfor part in ('on','e\\ntw','o\\n','three'): sys.stdout.write(part); sys.stdout.flush()"
    ended, lines, _ = start(tmp_path, program(text))
    assert (ended.status, lines) == (0, [b"one", b"two", b"three"])


def test_log_contains_command_output_and_exit_status(tmp_path: Path) -> None:
    ended, _, log = start(tmp_path, program("import sys; print('out'); sys.exit('err')"))
    first, *middle, last = log.path.read_text().splitlines()
    assert json.loads(first)["command"][0] == sys.executable
    assert sorted(middle) == ["err", "out"]
    assert json.loads(last)["status"] == 1
    assert ended.error_lines == ("err",)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_stdout_is_not_logged_if_log_stdout_is_false(tmp_path: Path) -> None:
    _, lines, log = start(tmp_path, program("print('hunter' + '2')"), log_stdout=False)
    assert lines == [b"hunter2"]
    assert "hunter2" not in log.path.read_text()


def test_output_larger_than_the_pipes_does_not_block(tmp_path: Path) -> None:
    text = "import sys\nfor s in (sys.stderr, sys.stdout): s.write(('x' * 999 + '\\n') * 3000)"
    ended, lines, _ = start(tmp_path, program(text))
    assert (ended.status, len(lines)) == (0, 3000)


def test_run_ends_although_a_grandchild_keeps_the_pipe_open(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    released = threading.Event()

    def release() -> None:  # opening the pipe for writing lets the grandchild's `read` end
        released.set()
        gate.open("w").close()

    watchdog = threading.Timer(DEADLINE, release)
    watchdog.start()
    ended, lines, _ = start(tmp_path, ["/bin/sh", "-c", f"(read line <{gate}) & echo done"])
    in_time = not released.is_set()
    watchdog.cancel()
    if in_time:
        release()
    assert in_time
    assert (ended.status, lines) == (0, [b"done"])


def test_tick_is_called_while_there_is_no_output(tmp_path: Path) -> None:
    ticks: list[float] = []
    gate = tmp_path / "gate"
    text = f"import os,time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)"

    def tick() -> None:
        ticks.append(time.monotonic())
        if len(ticks) == 3:
            gate.touch()

    ended, _, _ = start(tmp_path, program(text), tick=tick)
    assert ended.status == 0
    assert len(ticks) >= 3


def test_program_is_stopped_if_a_listener_raises(tmp_path: Path) -> None:
    text = (
        "import signal,time\n"
        "signal.signal(signal.SIGINT, lambda *a: (open('stopped','w').close(), exit(1)))\n"
        "print('ready')\ntime.sleep(60)"
    )
    log = RunLog(tmp_path / "logs", "apply", [])

    def fail(_line: bytes) -> None:
        raise ZeroDivisionError

    listener = Listener(fail, lambda: None, lambda _count: None, lambda _error: None)
    with pytest.raises(ZeroDivisionError):
        run(program(text), tmp_path, os.environ, log, listener)
    assert (tmp_path / "stopped").exists()


def test_run_works_outside_the_main_thread(tmp_path: Path) -> None:
    found: list[Ended] = []
    thread = threading.Thread(target=lambda: found.append(start(tmp_path, program("print(1)"))[0]))
    thread.start()
    thread.join(DEADLINE)
    assert found[0].status == 0


STUBBORN = """
import os, signal, sys, time
count = 0
def heard(*_):
    global count
    count += 1
    print('heard', count, flush=True)
    if count == int(sys.argv[1]):
        sys.exit(1)
signal.signal(signal.SIGINT, heard)
print('ready', flush=True)
for _ in range(600):
    time.sleep(0.1)
"""
DRIVER = """
import os, signal, sys
from pathlib import Path
from ollama_gpu.terraform.log import RunLog
from ollama_gpu.terraform.process import Listener, run
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test runner in the background ignores it
argv = [sys.executable, '-c', *sys.argv[1:]]
say = lambda *words: print(*words, flush=True)
listener = Listener(lambda line: say(line.decode()), lambda: None, lambda n: say('told', n), lambda e: say('lost'))
ended = run(argv, Path.cwd(), os.environ, RunLog(Path('logs'), 'apply', argv), listener)
print('ended', ended.status, ended.interrupts, flush=True)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def interrupted(folder: Path, endures: int, *signals: signal.Signals) -> list[str]:
    """The driver's output; each signal is sent after the program has received the previous one."""
    argv = [sys.executable, "-c", DRIVER, STUBBORN, str(endures)]
    with subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True) as driver:
        assert driver.stdout is not None
        watchdog = threading.Timer(DEADLINE, driver.kill)
        watchdog.start()
        lines: list[str] = []
        for number, each in enumerate(signals):
            wanted = "ready" if number == 0 else f"heard {number}"
            while wanted not in lines:
                lines.append(driver.stdout.readline().strip())
            # to the whole group, as a terminal does
            os.killpg(driver.pid, each)
        lines += driver.stdout.read().split("\n")
        watchdog.cancel()
        assert driver.wait(DEADLINE) == 0
    return [line for line in lines if line]


def test_ctrl_c_on_the_terminal_reaches_the_program_exactly_once(tmp_path: Path) -> None:
    lines = interrupted(tmp_path, 1, signal.SIGINT)
    assert [line for line in lines if line.startswith("heard")] == ["heard 1"]
    assert "told 1" in lines
    assert lines[-2:] == ["ended 1 1", "True"]  # True: the signal handlers are restored


def test_second_ctrl_c_reaches_the_program_too(tmp_path: Path) -> None:
    lines = interrupted(tmp_path, 2, signal.SIGINT, signal.SIGINT)
    assert "heard 2" in lines
    assert "ended 1 2" in lines


def test_third_ctrl_c_kills_the_program(tmp_path: Path) -> None:
    assert "ended -9 3" in interrupted(tmp_path, 99, signal.SIGINT, signal.SIGINT, signal.SIGINT)


@pytest.mark.parametrize("each", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_sighup_are_forwarded_as_sigint(tmp_path: Path, each: signal.Signals) -> None:
    assert "ended 1 1" in interrupted(tmp_path, 1, each)


def test_full_log_does_not_stop_the_run_and_is_reported_once(tmp_path: Path) -> None:
    # With a limit on the file size, the kernel refuses the log's writes as on a full disk.
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n" + DRIVER
    noisy = "for n in range(5000): print('x' * 20)\nprint('last')"
    argv = [sys.executable, "-c", limited, noisy]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=True)
    lines = done.stdout.split("\n")
    assert lines.count("lost") == 1
    assert "last" in lines
    assert "ended 0 0" in lines


def test_unwritable_log_folder_is_reported_before_the_program_starts(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(UserError, match="Terraform was not started") as error:
        RunLog(tmp_path / "logs", "apply", ["x"])
    assert "OLLAMA_GPU_WORK" in error.value.remedy


def test_full_disk_is_reported_before_the_program_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        RunLog(tmp_path / "logs", "apply", ["x"])
    assert list((tmp_path / "logs").iterdir()) == []


def test_only_the_newest_logs_are_kept(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"20260101T0000{number:02}.000000Z-plan.jsonl").touch()
    prune(tmp_path)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert len(kept) == 50
    assert kept[0].startswith("20260101T000010")
