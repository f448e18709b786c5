"""Run the bake's playbook for `ollama-gpu bake`, and show each play, role and task.

The playbook also runs without this command: `ansible-playbook playbooks/bake-ami.yml`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import make_folder
from ollama_gpu.core.waiting import wait_until
from ollama_gpu.environment import images
from ollama_gpu.environment.context import Context
from ollama_gpu.local.lab import locations
from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.local.lab.progress_step import progress_step
from ollama_gpu.local.usual import IMAGE_BUILD, IMAGE_CHECK, Usual
from ollama_gpu.terraform.progress import ProgressView

_PLAY = re.compile(r"^PLAY \[(?P<name>.*)\] \*+$")
_TASK = re.compile(r"^TASK \[(?P<name>.*)\] \*+$")
_ROLE = re.compile(r"^(?P<role>[\w.]+) : ")
_TAIL_LINES = 15
CLEAN_UP_SECONDS = 300.0


@dataclass(frozen=True)
class Options:
    """Options of a bake. Each item of ``extra`` is passed to ansible-playbook with `-e`."""

    force: bool = False
    extra: tuple[str, ...] = ()


def run(context: Context, options: Options, view: ProgressView) -> dict[str, str]:
    """Bake, and return the image's id and name. Raises UserError with the failed task and its cause."""
    usual = Usual(locations.locate(context.paths).cache)
    base = None
    if context.environment.embedded and _starts_from_the_lab(options):
        from ollama_gpu.local.lab.supply import supply  # loads cryptography, which a deploy to AWS never needs

        # The play's plan does the same, but a program that a play runs can show nothing.
        base = supply(locations.locate(context.paths), Docker(), view).base_image
    if not (options.force or options.extra):
        with progress_step(view, IMAGE_CHECK, usual=usual):
            found = _existing(context, base)
        if found:
            return found
    folder = context.paths.work / "bake" / context.environment.name
    make_folder(folder)
    log = folder / "bake.log"
    command = [_ansible(), str(context.paths.repository / "playbooks" / "bake-ami.yml")]
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    variables = {"env": context.environment.name, "force": options.force, "bake_result_file": str(result)}
    command += ["-e", json.dumps(variables)]
    command += [part for each in options.extra for part in ("-e", each)]
    environment = {
        **context.process_environment,
        "ANSIBLE_CONFIG": str(context.paths.repository / "ansible.cfg"),
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
    }
    with log.open("w", encoding="utf-8", buffering=1) as copy:  # line-buffered, so that `tail -f` shows each line
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, errors="replace"
        )
        assert process.stdout is not None  # noqa: S101, set because of PIPE
        try:
            lines = _show(_copy(process.stdout, copy), view, usual)
            status = process.wait()
        except KeyboardInterrupt:
            _stop(process, folder, view)
            raise
    return outcome(result, status, lines, log)


def stages(lines: Iterable[str]) -> Iterator[str]:
    """The progress lines for Ansible's output: each play, and each role when its first task begins."""
    role = ""
    for line in lines:
        if play := _PLAY.match(line):
            role = ""
            yield play["name"]
        elif (task := _TASK.match(line)) and (named := _ROLE.match(task["name"])) and named["role"] != role:
            role = named["role"]
            yield f"  {role}"


def outcome(result: Path, status: int, lines: Sequence[str], log: Path) -> dict[str, str]:
    """The image's id and name from the play's result file.

    Raises UserError with the play's error, or with the end of its output if it ended before it wrote the file.
    """
    try:
        found = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    if status != 0 or not found.get("image"):
        ended = "The bake ended unexpectedly:\n" + "\n".join(line.rstrip() for line in lines[-_TAIL_LINES:])
        raise UserError(found.get("error") or ended, f"The full output is in {log}.")
    return {"image": found["image"], "name": found["name"]}


def _show(lines: Iterable[str], view: ProgressView, usual: Usual) -> list[str]:
    """Show each stage and the present task until the output ends, and return its lines."""
    seen: list[str] = []

    def collect() -> Iterator[str]:
        for line in lines:
            seen.append(line)
            if task := _TASK.match(line):
                view.detail(task["name"])
            yield line

    why = "converges the roles on a builder, reboots and tests it; the instances then boot from this image"
    with progress_step(view, IMAGE_BUILD, why, usual):
        for stage in stages(collect()):
            view.notice(f"image: {stage}")
    return seen


def _existing(context: Context, base: str | None) -> dict[str, str] | None:
    """Register and publish the image if it exists, as the play does, but without Ansible's ten seconds.

    ``base``: the image that a bake starts from; None leaves the choice to the plan. Returns None if there is something
    to build or to clean up, which is the play's task.
    """
    from ollama_gpu.bake import plan  # loads the lab

    found = plan.make(context, plan.Request(plan.roles(context.paths), {}, base_image=base))
    if found["action"] == "build" or found["leftovers"]:
        return None
    image = found["image_id"]
    if found["action"] == "register":
        image = images.register_container(context, found["name"], found["found_container"], found["tags"])
    images.publish(context, image)
    return {"image": image, "name": found["name"]}


def _starts_from_the_lab(options: Options) -> bool:
    return "OLLAMA_GPU_BASE_IMAGE" not in os.environ and not any("bake_base_image" in each for each in options.extra)


def _copy(lines: IO[str], copy: IO[str]) -> Iterator[str]:
    for line in lines:
        copy.write(line)
        yield line.rstrip("\n")


def _stop(process: subprocess.Popen[str], folder: Path, view: ProgressView) -> None:
    """After Ctrl-C: terminate the play and wait until its guard has removed the builder.

    The terminal may have interrupted the play, too.
    """
    view.notice("image: interrupted, removing the builder")
    process.terminate()
    process.wait()
    with suppress(UserError):  # the next bake reports and removes what is left
        wait_until(lambda: not any(folder.glob(f"*-{process.pid}.json")), "the builder to be removed", CLEAN_UP_SECONDS)


def _ansible() -> str:
    installed = Path(sys.executable).with_name("ansible-playbook")
    found = str(installed) if installed.exists() else shutil.which("ansible-playbook")
    if found is None:
        raise UserError(
            "ansible-playbook is not installed.", "Run `make setup`, or activate the virtual environment that has it."
        )
    return found
