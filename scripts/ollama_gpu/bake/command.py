"""`ollama-gpu bake`: runs the playbook that anybody can run, and shows its tasks as a line each."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.paths import make_folder
from ollama_gpu.progress import duration
from ollama_gpu.waiting import wait_until

_PLAY = re.compile(r"^PLAY \[(?P<name>.*)\] \*+$")
_TASK = re.compile(r"^TASK \[(?P<name>.*)\] \*+$")
_ROLE = re.compile(r"^(?P<role>[\w.]+) : ")
_FAILURE = "Say which task failed and why"
_LOST = "Say that the builder was lost"
CLEAN_UP_SECONDS = 300.0


@dataclass(frozen=True)
class Asked:
    """What a bake was asked for; ``extra`` goes to ansible-playbook as `-e` each."""

    force: bool = False
    extra: tuple[str, ...] = ()


def run(context: Context, asked: Asked) -> dict[str, str]:
    """Bake, and return the image's id and name. Raises UserError with the failed task and its cause."""
    folder = context.paths.work / "bake" / context.environment.name
    make_folder(folder)
    log = folder / "bake.log"
    command = [_ansible(), str(context.paths.repository / "playbooks" / "bake-ami.yml")]
    command += ["-e", json.dumps({"env": context.environment.name, "force": asked.force})]
    command += [part for each in asked.extra for part in ("-e", each)]
    environment = {
        **context.process_environment,
        "ANSIBLE_CONFIG": str(context.paths.repository / "ansible.cfg"),
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
    }
    began = time.monotonic()
    with log.open("w", encoding="utf-8", buffering=1) as copy:  # a line at a time, for who follows it
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, errors="replace"
        )
        assert process.stdout is not None  # noqa: S101, asked for by PIPE
        try:
            lines = list(_shown(_copied(process.stdout, copy), began))
            status = process.wait()
        except KeyboardInterrupt:
            _end(process, folder)
            raise
    if status != 0:
        raise UserError(failure(lines), f"The whole output is {log}.")
    return outcome(lines)


def stages(lines: Iterable[str]) -> Iterator[str]:
    """What a person is told while it runs: the plays, and in the long one each role as it begins."""
    role = ""
    for line in lines:
        if play := _PLAY.match(line):
            role = ""
            yield play["name"]
        elif (task := _TASK.match(line)) and (named := _ROLE.match(task["name"])) and named["role"] != role:
            role = named["role"]
            yield f"  {role}"


def failure(lines: Iterable[str]) -> str:
    """The sentence of the last play, or the end of the output when it did not come so far."""
    kept = [line.rstrip() for line in lines]
    for name in (_FAILURE, _LOST):
        start = next((at for at, line in enumerate(kept) if line.startswith(f"TASK [{name}]")), None)
        if start is None:
            continue
        said = [line.strip() for line in kept[start:]]
        first = next((at for at, line in enumerate(said) if line.startswith(("msg:", '"msg":'))), None)
        if first is None:
            continue
        body = [said[first].split(":", 1)[1].strip(" |->\"'"), *said[first + 1 :]]
        end = next((at for at, line in enumerate(body) if line.startswith(("PLAY", "TASK"))), len(body))
        return "\n".join(line for line in body[:end] if line)
    return "The bake ended unexpectedly:\n" + "\n".join(kept[-15:])


def outcome(lines: Iterable[str]) -> dict[str, str]:
    """The image's name and id, from the play's last report."""
    text = " ".join(line.strip() for line in lines)
    found = re.search(r"starts from (?P<name>\S+) \((?P<id>ami-[0-9a-f]+)\)", text)
    if found is None:
        raise UserError("The bake did not say which image it made.", "Run it again; report this with its output.")
    return {"image": found["id"], "name": found["name"]}


def _shown(lines: Iterable[str], began: float) -> Iterator[str]:
    kept: list[str] = []

    def listen() -> Iterator[str]:
        for line in lines:
            kept.append(line)
            yield line

    for stage in stages(listen()):
        note(f"bake: {stage} ({duration(time.monotonic() - began)})")
    yield from kept


def _copied(lines: IO[str], copy: IO[str]) -> Iterator[str]:
    for line in lines:
        copy.write(line)
        yield line.rstrip("\n")


def _end(process: subprocess.Popen[str], folder: Path) -> None:
    """After Ctrl-C: end the play, which the terminal may have told too, and wait until its guard has cleaned up."""
    note("bake: interrupted, removing the builder")
    process.terminate()
    process.wait()
    with suppress(UserError):  # said by the next bake, which removes what is left
        wait_until(lambda: not any(folder.glob(f"*-{process.pid}.json")), "the builder to be removed", CLEAN_UP_SECONDS)


def _ansible() -> str:
    beside = Path(sys.executable).with_name("ansible-playbook")
    found = str(beside) if beside.exists() else shutil.which("ansible-playbook")
    if found is None:
        raise UserError("ansible-playbook is not installed here.", "Run `make setup`, or activate its environment.")
    return found
