"""Read and show a value repeatedly until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ollama_gpu.core import interrupt
from ollama_gpu.core.aws import explain

Value = TypeVar("Value")

LEAST_SECONDS = 2.0
"""Minimum between two reads. Each sends about twenty requests to AWS, which throttles; metrics change once a minute."""


def watch(
    read: Callable[[], Value],
    show: Callable[[Value, str], None],
    every: float,
    sleep: Callable[[float], None] = interrupt.sleep,
) -> None:
    """Read a value and show it every ``every`` seconds. Ctrl-C ends this without an error.

    If AWS returns an error, show the last value again with the error's message. An error of the first read is raised.
    """
    try:
        value = read()
        show(value, "")
        while True:
            sleep(max(every, LEAST_SECONDS))
            try:
                value = read()
                problem = ""
            except (BotoCoreError, ClientError) as error:
                problem = explain(error).message
            show(value, problem)
    except KeyboardInterrupt:
        return
