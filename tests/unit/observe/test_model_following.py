"""The models that an instance serves are read from its log and compared with the published set."""

from __future__ import annotations

from ollama_gpu.models.model_set import Model
from ollama_gpu.observe.model_following import Following, compare, following

DIGEST = "sha256:995f473ed145" + "0" * 52
GEMMA = "gemma3:270m@995f473ed145"
SERVES = f"ollama-gpu-model-set: serves {GEMMA}"
FAILED = "ollama-gpu-model-set: failed: large:70b need 40.00 GiB and GPU-1 has 3.00 GiB free"


def test_last_line_wins() -> None:
    assert following([SERVES + " other:1b@000000000000", SERVES]) == Following((GEMMA,))
    assert following(["something else"]) == Following()


def test_failure_keeps_previous_set() -> None:
    found = following([SERVES, FAILED])
    assert found.serves == (GEMMA,)
    assert found.failed == "large:70b need 40.00 GiB and GPU-1 has 3.00 GiB free"
    assert following([SERVES, FAILED, SERVES]).failed == ""


def test_journal_line_is_parsed() -> None:
    assert following([f'{{"MESSAGE": "{SERVES}"}}']) == Following((GEMMA,))
    assert following([f'{{"MESSAGE": "{FAILED}"}}']).failed.endswith("3.00 GiB free")


def test_instance_with_other_set_is_named() -> None:
    published = [Model("gemma3:270m", DIGEST)]
    right = Following((GEMMA,))
    assert compare(published, {"i-1": right, "i-2": right}, "prod").state == "ok"
    late = compare(published, {"i-1": right, "i-2": Following(("gemma3:270m@000000000000",))}, "prod")
    assert (late.state, "i-2: gemma3:270m@000000000000" in late.seen, "i-1" in late.seen) == ("warning", True, False)
    failed = compare(published, {"i-1": Following((GEMMA,), "no room")}, "prod")
    assert (failed.state, "cannot follow: no room" in failed.seen) == ("failed", True)
