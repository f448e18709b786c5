"""Run one Terraform command: stream its output, write the log, forward interrupts, leave no orphan.

Terraform runs in a separate session, so that Ctrl-C on the terminal reaches it only through this module, exactly once.
(Terraform treats a second SIGINT as "stop immediately and risk the state".) The session also makes a credential helper
that asks on the terminal fail at once; in a background process group, SIGTTIN would stop the helper indefinitely.

If the driver itself is killed (SIGKILL, out of memory), Terraform would get no signal, and its next write would go to a
closed pipe: Go's runtime then dies of SIGPIPE without writing the state or releasing the lock. Two measures prevent
that, so that Terraform ends as after Ctrl-C, with the state written and the lock released:

- The kernel sends Terraform SIGINT when the driver dies (`setpriv --pdeathsig`; preexec_fn could do the same but is
  unsafe with threads).
- Terraform inherits the reading ends of its own pipes, so that the pipes stay open.

Without setpriv's support (not on Linux), an orphan continues until its pipe is full.
"""

from __future__ import annotations

import fcntl
import functools
import os
import selectors
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ollama_gpu.terraform.log import RunLog

_CHUNK = 65_536
# The maximum for unprivileged users; enough for everything that an interrupted apply still prints.
_PIPE_BYTES = 1_048_576
_TICK_SECONDS = 0.25
_KEPT_ERROR_LINES = 200
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Listener:
    """Callbacks during a run: for each line of stdout, several ticks per second, each interrupt, a failed log."""

    line: Callable[[bytes], None]
    tick: Callable[[], None]
    interrupted: Callable[[int], None]
    log_failed: Callable[[OSError], None]


@dataclass(frozen=True)
class Ended:
    """The result of a run; ``status`` is negative if a signal ended it."""

    status: int
    interrupts: int
    error_lines: Sequence[str]


@dataclass
class _Interrupts:
    """Counts the signals that request a stop, and forwards each to Terraform once it runs."""

    process: subprocess.Popen[bytes] | None = None
    count: int = 0
    reported: int = 0

    def receive(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self.count += 1
        self.forward()

    def forward(self) -> None:
        if self.process is not None and self.count:
            # At the third signal, Terraform has ignored both requests to stop.
            self.process.send_signal(signal.SIGINT if self.count <= 2 else signal.SIGKILL)

    def attach(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.forward()  # a signal may have arrived while Terraform was starting


@dataclass
class _Lines:
    """Splits a stream into lines and passes on each complete line."""

    take: Callable[[bytes], None]
    rest: bytearray = field(default_factory=bytearray)

    def feed(self, chunk: bytes) -> None:
        first, *others = chunk.split(b"\n")
        self.rest += first
        for other in others:
            self.take(bytes(self.rest))
            self.rest = bytearray(other)

    def end(self) -> None:
        if self.rest:
            self.take(bytes(self.rest))
            self.rest.clear()


def run(
    argv: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    log: RunLog,
    listener: Listener,
    log_stdout: bool = True,
) -> Ended:
    """Run until the end, without a time limit. ``log_stdout`` is False for output that may contain secrets.

    If a listener raises, Terraform is first stopped gracefully, then the exception is raised.
    """
    errors: deque[str] = deque(maxlen=_KEPT_ERROR_LINES)
    stdout = _Lines(listener.line)
    stderr = _Lines(lambda line: errors.append(line.decode(errors="replace")))
    interrupts = _Interrupts()
    status: int | None = None
    log_failed = False
    try:
        with ExitStack() as pipes, _signals_to(interrupts):
            process, outputs = _start(argv, directory, environment, pipes)
            interrupts.attach(process)
            try:
                for source, chunk in _chunks(process, outputs):
                    if source == outputs[1] or log_stdout:
                        log.write(chunk)
                    (stdout if source == outputs[0] else stderr).feed(chunk)
                    if log.failure is not None and not log_failed:
                        log_failed = True
                        listener.log_failed(log.failure)
                    if interrupts.count > interrupts.reported:
                        interrupts.reported = interrupts.count
                        listener.interrupted(interrupts.count)
                    listener.tick()
                stdout.end()
                stderr.end()
            except BaseException:
                interrupts.receive()
                for _ in _chunks(process, outputs):
                    pass  # keep reading: a full pipe would block Terraform
                raise
            finally:
                status = process.wait()
        return Ended(status, interrupts.count, tuple(errors))
    finally:
        log.close(status)


def _start(
    argv: Sequence[str], directory: Path, environment: Mapping[str, str], pipes: ExitStack
) -> tuple[subprocess.Popen[bytes], tuple[int, int]]:
    out_read, out_write = _pipe(pipes)
    err_read, err_write = _pipe(pipes)
    try:
        process = subprocess.Popen(
            [*_death_signal_prefix(), *argv],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out_write,
            stderr=err_write,
            pass_fds=(out_read, err_read),
            start_new_session=True,
        )
    finally:
        os.close(out_write)
        os.close(err_write)
    return process, (out_read, err_read)


def _pipe(pipes: ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    pipes.callback(os.close, read)
    with suppress(OSError, AttributeError):  # AttributeError: not Linux
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read, write


@functools.cache
def _death_signal_prefix() -> tuple[str, ...]:
    """The command prefix that makes the kernel send SIGINT when the driver dies; empty if setpriv cannot do it."""
    found = shutil.which("setpriv")
    if found is None:
        return ()
    # Try the option: busybox and util-linux before 2.33 do not support it.
    tried = subprocess.run([found, "--pdeathsig", "keep", "--", "true"], capture_output=True, check=False)
    return (found, "--pdeathsig", "INT", "--") if tried.returncode == 0 else ()


def _chunks(process: subprocess.Popen[bytes], outputs: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """The chunks of output with their source; an empty chunk if nothing arrives during a tick."""
    with selectors.DefaultSelector() as selector:
        for descriptor in outputs:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            exited = process.poll() is not None
            ready = selector.select(0 if exited else _TICK_SECONDS)
            if not ready:
                if exited:
                    return  # a grandchild holds the pipe open: Terraform writes no more output
                yield outputs[0], b""
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fd)
                yield key.fd, chunk


@contextmanager
def _signals_to(interrupts: _Interrupts) -> Iterator[None]:
    """Forward SIGINT, SIGTERM and SIGHUP to Terraform instead of raising an exception at an arbitrary point."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can handle signals, and only it receives them
        return
    before = {}
    try:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # set by nohup
                before[number] = signal.signal(number, interrupts.receive)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
