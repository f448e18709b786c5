"""A boot of the baked image skips what the bake has done, and leaves the same host as a whole converge."""

from __future__ import annotations

import json
import re

from tests.serving.conftest import Serving

PROGRAM = "/usr/local/sbin/ollama-gpu-boot"
# The boot program's play without its --skip-tags, in check mode: it changes nothing and says what it would change.
WHOLE_PLAY = f"""
import json, os, pathlib, runpy, sys
boot = runpy.run_path("{PROGRAM}")
instance = json.loads(pathlib.Path(boot["INSTANCE"]).read_text())
variables = {{"ansible_python_interpreter": "/usr/bin/python3", **instance.get("variables", {{}})}}
variables["boot_instance"] = {{**instance, "instance_id": sys.argv[1]}}
os.environ.update(
    ANSIBLE_COLLECTIONS_PATH=str(boot["COLLECTIONS"]), ANSIBLE_PIPELINING="true", ANSIBLE_NOCOLOR="1", HOME="/root",
    ANSIBLE_DISPLAY_OK_HOSTS="false", ANSIBLE_DISPLAY_SKIPPED_HOSTS="false", LC_ALL="C.UTF-8",
    AWS_ENDPOINT_URL=instance["endpoint_url"],
)
os.execvp("ansible-playbook", ["ansible-playbook", "--check", "--connection", "local", "--inventory", "localhost,",
          "--extra-vars", json.dumps(variables), boot["PLAYBOOK"]])
"""


def timeline(serving: Serving, instance: str) -> dict[str, float]:
    """The seconds of each step of the instance's last boot."""
    text = serving.run(instance, "cat", "/var/lib/ollama-gpu/boot/timeline.json")
    return {step["step"]: step["seconds"] for step in json.loads(text)["steps"]}


def test_boot_of_the_baked_image_runs_no_stage_that_the_bake_has_run(serving: Serving) -> None:
    instance = serving.instances()[0]
    steps = timeline(serving, instance)
    assert "open_webui_configure" in steps
    assert [name for name in steps if name.endswith(("_install", "_preflight"))] == []
    assert "docker_configure" not in steps, "every task of this stage is tagged image"


def test_whole_converge_after_a_boot_would_change_nothing(serving: Serving) -> None:
    instance = serving.instances()[0]
    said = serving.try_run(instance, "python3", "-c", WHOLE_PLAY, instance)
    recap = re.search(r"localhost\s+: ok=(\d+)\s+changed=\d+\s+unreachable=0\s+failed=0", said)
    assert recap, said[-6000:]
    assert int(recap[1]) > 200, "the stages that the bake has run are part of it"
    tasks = re.split(r"^TASK \[", said, flags=re.MULTILINE)
    changed = [task.partition("]")[0] for task in tasks if re.search(r"^changed: ", task, re.MULTILINE)]
    # The seal empties this folder, and only a download needs it.
    assert changed == ["ollama.gpu.common : Create the download folder"], said[-6000:]
