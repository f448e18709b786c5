"""What every role promises: its verify stage runs alone and changes nothing, and it refuses settings that cannot work.

Molecule runs this file in the scenario of each role, whose `molecule.yml` lists the refusals.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host

ROLE = os.environ["MOLECULE_SCENARIO_NAME"]
SCENARIO: dict[str, Any] = yaml.safe_load(Path(os.environ["MOLECULE_FILE"]).read_text())
CONVERGE = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / SCENARIO["ansible"]["playbooks"]["converge"]
TASKS = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "roles" / ROLE / "tasks"
VARIABLES: dict[str, Any] = SCENARIO["provisioner"]["inventory"]["group_vars"]["all"]
PLAIN = {"ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"}  # molecule sets the first to 1


def converge(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the scenario's converge playbook with more options, with the settings that molecule passes to its tests.

    Its standard output has the errors too, which molecule's settings of Ansible separate.
    """
    command = ["ansible-playbook", "--inventory", os.environ["MOLECULE_INVENTORY_FILE"], *options, str(CONVERGE)]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **PLAIN}
    )


def recap(output: str) -> dict[str, int]:
    """The counts of the host's line in Ansible's recap."""
    lines = [line for line in output.splitlines() if re.match(r"ollama-gpu-role-\S+ +: ok=", line)]
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", lines[-1])}


@pytest.mark.skipif(not (TASKS / "verify.yml").exists(), reason="this role has no verify stage")
def test_verify_stage_runs_alone_and_changes_nothing() -> None:
    ran = converge("--tags", f"{ROLE}_verify")
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert recap(ran.stdout)["changed"] == 0, ran.stdout[-3000:]


@pytest.mark.parametrize("refusal", VARIABLES["refusals"], ids=lambda refusal: ",".join(refusal["set"]))
def test_role_refuses(host: Host, refusal: dict[str, Any]) -> None:
    ran = converge("--extra-vars", json.dumps(refusal["set"]))
    assert ran.returncode == 2, ran.stdout[-3000:]  # 2: a task failed
    assert " ".join(refusal["message"].split()) in " ".join(ran.stdout.split()), ran.stdout[-3000:]
    assert recap(ran.stdout)["changed"] == 0, "the role changed the host before it refused"
    if "then" in refusal:
        assert host.run(refusal["then"]).rc == 0, refusal["then"]
