# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""Logs each stage of each role as a step of the boot."""

from __future__ import annotations

DOCUMENTATION = r"""
name: boot_log
short_description: Logs each stage of each role as a step of an instance's boot
version_added: "0.1.0"
type: notification
description:
  - Prints a line with C(step=NAME result=started|ok|failed seconds=N cause=TEXT) for each stage of each role. The saved
    query C(boot-failures-by-step) reads these lines.
  - The tag C(ROLE_STAGE) identifies a stage. A part of a stage that has its own such tag is a separate step.
    A task without such a tag belongs to the previous step.
  - The cause is the failed task's name and message. Output that C(no_log) hides stays hidden.
options:
  steps:
    description: File for one JSON object per finished step. Empty writes no file.
    type: path
    default: ""
    env:
      - name: OLLAMA_GPU_BOOT_STEPS
author:
  - The ollama-gpu maintainers (@ollama-gpu)
"""

import json  # noqa: E402 - ansible-test requires the documentation first
import time  # noqa: E402
from pathlib import Path  # noqa: E402

from ansible.plugins.callback import CallbackBase  # noqa: E402

CAUSE_LENGTH = 500
STAGES = ("preflight", "install", "configure", "service", "verify")


def step_of(role: str, tags: list[str]) -> str | None:
    """Return the step of a task of ``role`` from its tags, or None if it has no stage's tag.

    A part of a stage also has the stage's tag, in any order. The part's own tag has priority.
    """
    name = role.rpartition(".")[2]
    steps = [tag for tag in tags if name and tag.startswith(f"{name}_")]
    parts = [step for step in steps if step[len(name) + 1 :] not in STAGES]
    return next(iter(parts + steps), None)


def cause_of(task: str, result: dict) -> str:
    """Return one line for a failed task: its name, and its message or that of its first failed item."""
    failed = next((item for item in result.get("results", []) if item.get("failed")), result)
    details = [failed.get(key) for key in ("msg", "stderr", "stdout", "censored")]
    said = next((" ".join(str(detail).split()) for detail in details if detail), "no reason given")
    if said == "non-zero return code" and failed.get("stderr"):
        said += ": " + " ".join(str(failed["stderr"]).split())
    return f"{task}: {said}"[:CAUSE_LENGTH]


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "ollama.gpu.boot_log"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.step = None
        self.began = 0.0
        self.failure = None

    def v2_playbook_on_task_start(self, task, is_conditional) -> None:  # noqa: ARG002 - Ansible's signature
        self._enter(task)

    def v2_playbook_on_handler_task_start(self, task) -> None:
        self._enter(task)

    def v2_runner_on_failed(self, result, ignore_errors=False) -> None:
        if not ignore_errors:
            # ansible-core before 2.19 has only the names with an underscore, 2.23 and newer do not have them
            task = result.task if hasattr(result, "task") else result._task
            details = result.result if hasattr(result, "result") else result._result
            self.failure = (self.step or "converge", cause_of(task.name or task.get_name(), details))

    def v2_runner_on_unreachable(self, result) -> None:
        self.v2_runner_on_failed(result)

    def v2_playbook_on_stats(self, stats) -> None:
        # rescued failures are not counted here
        failed = any(stats.failures.values()) or any(stats.dark.values())
        if failed:
            step, cause = self.failure or (self.step or "converge", "no task reported a cause")
            if step != self.step:
                self._end("ok", "")
            self.step = step
            self._end("failed", cause)
        else:
            self._end("ok", "")

    def _enter(self, task) -> None:
        role = task._role.get_name() if task._role else ""
        step = step_of(role, task.tags)
        if step and step != self.step:
            self._end("ok", "")
            self.step, self.began = step, time.monotonic()
            self._display.display(f"ollama-gpu-boot: step={step} result=started")

    def _end(self, result: str, cause: str) -> None:
        if self.step is None:
            return
        seconds = round(time.monotonic() - self.began, 1)
        line = f"ollama-gpu-boot: step={self.step} result={result} seconds={seconds}"
        self._display.display(line + (f" cause={cause}" if cause else ""))
        if self.get_option("steps"):
            record = {"step": self.step, "result": result, "seconds": seconds, "cause": cause}
            with Path(self.get_option("steps")).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        self.step = None
