"""Which models an instance serves is read from its log, and held against what was published."""

from __future__ import annotations

from ollama_gpu.model_following import Following, compare, following
from ollama_gpu.models import Model

DIGEST = "sha256:995f473ed145" + "0" * 52
GEMMA = "gemma3:270m@995f473ed145"
SERVES = f"ollama-gpu-model-set: serves {GEMMA}"
FAILED = "ollama-gpu-model-set: failed: large:70b need 40.00 GiB and GPU-1 has 3.00 GiB free"


def test_the_last_line_counts() -> None:
    assert following([SERVES + " other:1b@000000000000", SERVES]) == Following((GEMMA,))
    assert following(["something else"]) == Following()


def test_a_failure_leaves_what_was_served() -> None:
    found = following([SERVES, FAILED])
    assert found.serves == (GEMMA,)
    assert found.failed == "large:70b need 40.00 GiB and GPU-1 has 3.00 GiB free"
    assert following([SERVES, FAILED, SERVES]).failed == ""


def test_a_line_of_the_journal_is_understood_as_well() -> None:
    assert following([f'{{"MESSAGE": "{SERVES}"}}']) == Following((GEMMA,))
    assert following([f'{{"MESSAGE": "{FAILED}"}}']).failed.endswith("3.00 GiB free")


def test_an_instance_that_serves_another_set_is_named() -> None:
    wanted = [Model("gemma3:270m", DIGEST)]
    right = Following((GEMMA,))
    assert compare(wanted, {"i-1": right, "i-2": right}, "prod").state == "ok"
    late = compare(wanted, {"i-1": right, "i-2": Following(("gemma3:270m@000000000000",))}, "prod")
    assert (late.state, "i-2: gemma3:270m@000000000000" in late.seen, "i-1" in late.seen) == ("warning", True, False)
    refused = compare(wanted, {"i-1": Following((GEMMA,), "no room")}, "prod")
    assert (refused.state, "cannot follow: no room" in refused.seen) == ("failed", True)
