"""A boot's steps are read from the lines that the boot program and its play print."""

from __future__ import annotations

from ollama_gpu.timeline import Step, steps

BOOT = """
ollama-gpu-boot: step=describe result=started
ollama-gpu-boot: step=describe result=ok seconds=0.0
ollama-gpu-boot: step=converge result=started
step=ollama_service result=started
step=ollama_service result=ok seconds=3.2
step=gateway_verify result=started
"""


def test_each_step_has_its_result_and_its_duration() -> None:
    assert steps(BOOT.splitlines()) == [
        Step("describe", "ok", 0.0),
        Step("converge", "started", None),
        Step("ollama_service", "ok", 3.2),
        Step("gateway_verify", "started", None),
    ]


def test_a_failed_step_has_its_cause() -> None:
    said = "step=model_store_configure result=failed seconds=1.5 cause=Bring the models here: no space left"
    assert steps([said]) == [
        Step("model_store_configure", "failed", 1.5, "Bring the models here: no space left"),
    ]


def test_a_second_boot_takes_the_place_of_the_first() -> None:
    again = [*BOOT.splitlines(), "ollama-gpu-boot: step=describe result=started"]
    assert steps(again) == [Step("describe", "started", None)]


def test_a_line_of_the_journal_is_understood_as_well() -> None:
    line = '{"MESSAGE": "ollama-gpu-boot: step=launch result=failed seconds=2.0 cause=denied"}'
    assert steps([line]) == [Step("launch", "failed", 2.0, "denied")]


def test_other_lines_say_nothing() -> None:
    assert steps(["Cloud-init v. 22.4.2 finished", ""]) == []
