"""Run the programs of `inside` in an instance: copied there, spoken to by JSON, and gone at the end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.serving.conftest import Serving

PROGRAMS = Path(__file__).with_name("inside")
FOLDER = "/var/lib/ollama-gpu-bench"


@dataclass(frozen=True)
class Instance:
    """``name`` is its id."""

    serving: Serving
    name: str

    def run(self, *command: str) -> str:
        """What a command prints in it. Raises UserError when it fails."""
        return self.serving.run(self.name, *command)

    def python(self, program: str, asked: Any, seconds: float = 600) -> Any:
        """What a program of `inside` answers. Secrets go by ``asked``. SystemExit with its words when it fails."""
        done = subprocess.run(
            self._command(program), input=json.dumps(asked), capture_output=True, text=True, timeout=seconds
        )
        if done.returncode != 0:
            raise SystemExit(f"{program} in {self.name} failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout)

    @contextmanager
    def background(self, program: str, asked: Any) -> Iterator[Background]:
        """A program of `inside` that runs until the end of the block: it sees the end of its standard input."""
        process = subprocess.Popen(
            self._command(program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{program} in {self.name} did not start:\n{process.stderr.read()[-3000:]}")
            told = Background(json.loads(line)["pid"])
            yield told
            process.stdin.close()
            told.result = json.loads(process.stdout.readline())
        finally:
            if not process.stdin.closed:
                process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

    def _command(self, program: str) -> list[str]:
        container = self.serving.container(self.name)
        return ["docker", "exec", "--interactive", container, "python3", "-I", f"{FOLDER}/{program}.py"]


@dataclass
class Background:
    """``pid`` is the instance's number of it; ``result`` is there after its end."""

    pid: int
    result: Any = None


@contextmanager
def prepared(serving: Serving, name: str) -> Iterator[Instance]:
    """An instance with the programs in it until the end of the block."""
    instance = Instance(serving, name)
    instance.run("install", "-d", "-m", "755", FOLDER)
    try:
        for program in sorted(PROGRAMS.glob("*.py")):
            text = program.read_text(encoding="utf-8")
            target = ("exec", "--interactive", serving.container(name), "tee", f"{FOLDER}/{program.name}")
            serving.docker.output(*target, text=text)
        yield instance
    finally:
        instance.run("rm", "-rf", FOLDER)
