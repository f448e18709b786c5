"""A Ctrl-C that arrives in a finalizer still ends the command."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, time
from ollama_gpu.core import interrupt

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, {handler})
interrupt.remember()
one = Finalized()
del one
print("the interrupt was ignored", flush=True)
interrupt.sleep(0)
print("it got lost")
"""


@pytest.mark.parametrize(
    ("handler", "lost"), [("signal.default_int_handler", False), ("signal.SIG_IGN", True), ("lambda *_: None", True)]
)
def test_interrupt_in_a_finalizer_is_raised_by_the_next_sleep(handler: str, lost: bool) -> None:
    """Unless SIGINT was ignored or handled before, as in a background process."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM.format(handler=handler)], capture_output=True, text=True)
    assert "the interrupt was ignored" in ran.stdout
    assert ("it got lost" in ran.stdout) is lost
    assert ran.stderr.rstrip().endswith("KeyboardInterrupt") is not lost
