"""Parsing the boot steps from an instance's log."""

from __future__ import annotations

from ollama_gpu.observe.boot_timeline import Step, steps

BOOT = """
ollama-gpu-boot: step=describe result=started
ollama-gpu-boot: step=describe result=ok seconds=0.0
ollama-gpu-boot: step=converge result=started
step=ollama_service result=started
step=ollama_service result=ok seconds=3.2
step=gateway_verify result=started
"""


def test_step_has_result_and_duration() -> None:
    assert steps(BOOT.splitlines()) == [
        Step("describe", "ok", 0.0),
        Step("converge", "started", None),
        Step("ollama_service", "ok", 3.2),
        Step("gateway_verify", "started", None),
    ]


def test_failed_step_has_cause() -> None:
    line = "step=model_store_configure result=failed seconds=1.5 cause=Bring the models here: no space left"
    assert steps([line]) == [
        Step("model_store_configure", "failed", 1.5, "Bring the models here: no space left"),
    ]


def test_second_boot_replaces_first() -> None:
    lines = [*BOOT.splitlines(), "ollama-gpu-boot: step=describe result=started"]
    assert steps(lines) == [Step("describe", "started", None)]


def test_journal_line_is_parsed() -> None:
    line = '{"MESSAGE": "ollama-gpu-boot: step=launch result=failed seconds=2.0 cause=denied"}'
    assert steps([line]) == [Step("launch", "failed", 2.0, "denied")]


def test_other_lines_are_ignored() -> None:
    assert steps(["Cloud-init v. 22.4.2 finished", ""]) == []
