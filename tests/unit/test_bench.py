"""The bench reads molecule's steps from what it says as it goes."""

from __future__ import annotations

from tests.bench import image

SAID = """
INFO     [default > discovery] scenario test matrix: converge, idempotence, verify
INFO     [default > converge] Executing
ollama-gpu-molecule-default : ok=262  changed=82   unreachable=0    failed=0    skipped=107  rescued=0    ignored=0
INFO     [default > converge] Executed: Successful
INFO     [default > idempotence] Executing
localhost                  : ok=5    changed=2    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0
ollama-gpu-molecule-default : ok=236  changed=3    unreachable=0    failed=0    skipped=116  rescued=0    ignored=0
INFO     [default > idempotence] Executed: Failed
INFO     [default > verify] Executing Testinfra tests found in x
default > converge: Executed: Successful
"""


def test_a_step_lasts_from_its_first_line_to_its_last_and_changes_what_the_host_says() -> None:
    seconds, changed = image.steps((float(second), line) for second, line in enumerate(SAID.splitlines(keepends=True)))
    assert seconds == {"converge": 2.0, "idempotence": 3.0}
    assert changed == {"converge": 82, "idempotence": 3}
