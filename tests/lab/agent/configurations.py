"""Configurations of the agent and of ollama-gpu-metrics for an instance, rendered from the roles by Ansible."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from ollama_gpu.core.collection import source
from ollama_gpu.core.paths import locate

ROLES = source(locate().repository) / "roles"
CONTRACT: dict[str, Any] = yaml.safe_load(locate().contract.read_text())
TEMPLATES = {"cloudwatch_agent": "cloudwatch-agent.json.j2", "gpu_metrics": "metrics.json.j2"}
WITHOUT_GPU: dict[str, Any] = {"gpus": []}


def render(folder: Path, **variables: Any) -> dict[str, dict[str, Any]]:
    """Render the configurations for a host without a GPU, keyed by role; ``variables`` are role variables."""
    files = [str(ROLES / role / kind / "main.yml") for role in TEMPLATES for kind in ("defaults", "vars")]
    given = {
        "contract": CONTRACT,
        "__cloudwatch_agent_gpus": WITHOUT_GPU,
        "__gpu_metrics_gpus": WITHOUT_GPU,
        **variables,
    }
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": files,
        "tasks": [
            {
                "ansible.builtin.template": {
                    "src": str(ROLES / role / "templates" / template),
                    "dest": str(folder / f"{role}.json"),
                    "mode": "0644",
                }
            }
            for role, template in TEMPLATES.items()
        ],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    (folder / "variables.json").write_text(json.dumps(given))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(folder / "play.yml")]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "-e", f"@{folder / 'variables.json'}"]
    played = subprocess.run(command, capture_output=True, text=True)
    assert played.returncode == 0, played.stdout + played.stderr
    return {role: json.loads((folder / f"{role}.json").read_text()) for role in TEMPLATES}
