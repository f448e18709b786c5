"""Run the programs of `inside` in an instance: copy them in, exchange JSON with them, and remove them at the end."""

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
    """``name`` is the instance's id."""

    serving: Serving
    name: str

    def run(self, *command: str) -> str:
        """Return the output of a command in the instance. Raises UserError if it fails."""
        return self.serving.run(self.name, *command)

    def python(self, program: str, request: Any, seconds: float = 600) -> Any:
        """Return the answer of a program of `inside`. Pass secrets in ``request``. Raises SystemExit if it fails."""
        done = subprocess.run(
            self._command(program), input=json.dumps(request), capture_output=True, text=True, timeout=seconds
        )
        if done.returncode != 0:
            raise SystemExit(f"{program} in {self.name} failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout)

    @contextmanager
    def background(self, program: str, request: Any) -> Iterator[Background]:
        """Run a program of `inside` until the end of the block, which closes its standard input."""
        process = subprocess.Popen(
            self._command(program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{program} in {self.name} did not start:\n{process.stderr.read()[-3000:]}")
            running = Background(json.loads(line)["pid"])
            yield running
            process.stdin.close()
            running.result = json.loads(process.stdout.readline())
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
    """``pid`` is the process id inside the instance; ``result`` is set after the program's end."""

    pid: int
    result: Any = None


@contextmanager
def prepared(serving: Serving, name: str) -> Iterator[Instance]:
    """Copy the programs into an instance until the end of the block."""
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
