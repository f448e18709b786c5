"""Run one Terraform command: stream its output, keep the log, pass on interrupts, leave no orphan.

Terraform gets a session of its own, so that a terminal's Ctrl-C reaches it only through here, exactly once
(Terraform reads a second SIGINT as "stop now and risk the state"). It also makes a credential helper that
asks on the terminal fail at once, where in a background process group SIGTTIN would stop it for ever.

What if the driver itself is killed (SIGKILL, out of memory)? Two things would go wrong: nobody tells
Terraform, and its next line hits a closed pipe, where Go's runtime dies of SIGPIPE with the state unwritten
and the lock held. So the kernel is asked to send Terraform SIGINT when the driver dies (`setpriv
--pdeathsig`; preexec_fn would do the same but is unsafe beside threads), and Terraform inherits the reading
ends of its own pipes, so that they never close under it: it ends as after Ctrl-C, with the state written and
the lock released. Where setpriv cannot do it (not Linux) an orphan carries on until its pipe is full.
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
# The most that a user without privileges may ask for: room for all that an interrupted apply still prints.
_PIPE_BYTES = 1_048_576
_TICK_SECONDS = 0.25
_KEPT_ERROR_LINES = 200
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Listener:
    """What happens with the run as it goes: each line of stdout, several ticks a second, each interrupt."""

    line: Callable[[bytes], None]
    tick: Callable[[], None]
    interrupted: Callable[[int], None]
    log_failed: Callable[[OSError], None]


@dataclass(frozen=True)
class Ended:
    """How a run ended; ``status`` is negative when a signal ended it."""

    status: int
    interrupts: int
    error_lines: Sequence[str]


@dataclass
class _Interrupts:
    """Counts the signals that ask for an end, and passes each on to Terraform once it runs."""

    process: subprocess.Popen[bytes] | None = None
    count: int = 0
    told: int = 0

    def receive(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self.count += 1
        self.pass_on()

    def pass_on(self) -> None:
        if self.process is not None and self.count:
            # The third time, Terraform has ignored both the polite and the hard request.
            self.process.send_signal(signal.SIGINT if self.count <= 2 else signal.SIGKILL)

    def attach(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.pass_on()  # one may have come while Terraform was being started


@dataclass
class _Lines:
    """Cuts a stream into lines, handing on each as soon as it is whole."""

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
    """Run to the end, however long that takes. ``log_stdout`` is off for output that may hold secrets.

    Should a listener raise, Terraform is still stopped in good order before the exception goes on.
    """
    errors: deque[str] = deque(maxlen=_KEPT_ERROR_LINES)
    stdout = _Lines(listener.line)
    stderr = _Lines(lambda line: errors.append(line.decode(errors="replace")))
    interrupts = _Interrupts()
    status: int | None = None
    log_lost = False
    try:
        with ExitStack() as pipes, _signals_to(interrupts):
            process, outputs = _start(argv, directory, environment, pipes)
            interrupts.attach(process)
            try:
                for source, chunk in _chunks(process, outputs):
                    if source == outputs[1] or log_stdout:
                        log.write(chunk)
                    (stdout if source == outputs[0] else stderr).feed(chunk)
                    if log.failure is not None and not log_lost:
                        log_lost = True
                        listener.log_failed(log.failure)
                    if interrupts.count > interrupts.told:
                        interrupts.told = interrupts.count
                        listener.interrupted(interrupts.count)
                    listener.tick()
                stdout.end()
                stderr.end()
            except BaseException:
                interrupts.receive()
                for _ in _chunks(process, outputs):
                    pass  # read on: a full pipe would keep it from ending
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
            [*_dying_with_its_parent(), *argv],
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
def _dying_with_its_parent() -> tuple[str, ...]:
    found = shutil.which("setpriv")
    if found is None:
        return ()
    # Tried, not looked up: busybox's and util-linux's before 2.33 do not know the option.
    tried = subprocess.run([found, "--pdeathsig", "keep", "--", "true"], capture_output=True, check=False)
    return (found, "--pdeathsig", "INT", "--") if tried.returncode == 0 else ()


def _chunks(process: subprocess.Popen[bytes], outputs: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """What arrives, with its source; an empty chunk when nothing did for a tick."""
    with selectors.DefaultSelector() as selector:
        for descriptor in outputs:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            exited = process.poll() is not None
            ready = selector.select(0 if exited else _TICK_SECONDS)
            if not ready:
                if exited:
                    return  # a grandchild holds the pipe open: nothing more of Terraform's will come
                yield outputs[0], b""
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fd)
                yield key.fd, chunk


@contextmanager
def _signals_to(interrupts: _Interrupts) -> Iterator[None]:
    """Send Ctrl-C, SIGTERM and a lost terminal to Terraform instead of raising in the middle of a line."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can take signals, and only it gets them
        return
    before = {}
    try:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup asked for that
                before[number] = signal.signal(number, interrupts.receive)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
