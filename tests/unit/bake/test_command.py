"""What `ollama-gpu bake` makes of the play's output: stages, a failure's sentence, the image."""

from __future__ import annotations

import pytest

from ollama_gpu.bake import command
from ollama_gpu.errors import UserError

OUTPUT = """
PLAY [Plan the image and acquire a builder] ****

TASK [Keep the plan] ****
ok: [localhost]

PLAY [Converge, reboot, test and seal] ****

TASK [ollama.gpu.docker : Install Docker Engine] ****
changed: [builder]

TASK [ollama.gpu.docker : Write daemon.json] ****
changed: [builder]

TASK [ollama.gpu.image_seal : Stop the journal] ****
ok: [builder]
"""

FAILED = """
TASK [Say which task failed and why] *******************************************
[ERROR]: Task failed: Action failed: No image was made. The task `Install Docker Engine` failed:
No package matching 'docker.io' is available
Origin: /x/report.yml:10:3

fatal: [localhost]: FAILED! =>
    changed: false
    msg: |-
        No image was made. The task `Install Docker Engine` failed:
        No package matching 'docker.io' is available

PLAY RECAP *********************************************************************
localhost                  : ok=12   changed=3
"""

DONE = """
TASK [Say what the environment starts from now] ********************************
ok: [localhost] =>
    msg: ENV=local starts from ollama-gpu-host-a11a07fb6e140b66
        (ami-2daef832dcd829b57)

TASK [Say which task failed and why] *******************************************
skipping: [localhost]
"""


def test_a_person_sees_each_play_and_each_role_once() -> None:
    assert list(command.stages(OUTPUT.splitlines())) == [
        "Plan the image and acquire a builder",
        "Converge, reboot, test and seal",
        "  ollama.gpu.docker",
        "  ollama.gpu.image_seal",
    ]


def test_a_failure_names_the_task_and_the_cause() -> None:
    assert command.failure(FAILED.splitlines()) == (
        "No image was made. The task `Install Docker Engine` failed:\nNo package matching 'docker.io' is available"
    )


def test_output_that_ends_early_is_shown_as_it_is() -> None:
    assert "no such file" in command.failure(["ERROR! no such file"])


def test_the_image_is_read_from_the_report() -> None:
    assert command.outcome(DONE.splitlines()) == {
        "image": "ami-2daef832dcd829b57",
        "name": "ollama-gpu-host-a11a07fb6e140b66",
    }


def test_a_play_that_names_no_image_is_not_taken_for_a_success() -> None:
    with pytest.raises(UserError):
        command.outcome(["PLAY RECAP"])
