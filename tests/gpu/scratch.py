"""One more instance of the role's unit next to the serving ones, with a separate port and store; removed at the end.

It is `ollama@15`. The unit, its pre-start and post-start programs, its confinement and the GPU are the production ones.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.ollama import Ollama
from bench.random_model import Written
from ollama_gpu.core.contract import load
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import locate
from tests.gpu.host import SETTINGS

INDEX = 15  # the last index with a port reserved by the role
UNIT = f"ollama@{INDEX}.service"
MODEL = "random-weights:latest"
START_SECONDS = 600


@dataclass(frozen=True)
class Locations:
    """The role's settings folder, and the scratch unit's own files; a reboot removes ``drop_in``."""

    settings: Path = SETTINGS
    drop_in: Path = Path(f"/run/systemd/system/{UNIT}.d")
    folder: Path = Path("/var/lib/ollama/gpu-tests")  # the unit may write here
    user: str = "ollama"

    @property
    def own_settings(self) -> Path:
        return self.settings / f"{INDEX}.env"


@dataclass(frozen=True)
class Start:
    """The result of a start; ``log`` is the log of the unit and its programs."""

    good: bool
    log: str


class Scratch:
    """A scratch unit. Get it from `scratch`, which removes everything again."""

    def __init__(self, locations: Locations) -> None:
        serving = [file for file in locations.settings.glob("*.env") if file != locations.own_settings]
        if not serving:
            raise UserError(f"No instance of Ollama is set up in {locations.settings}.", "Converge this host first.")
        values = read_settings(min(serving))
        self.locations = locations
        self.port = load(locate().contract).ports["ollama_first"] + INDEX
        self.ollama = Ollama(f"http://127.0.0.1:{self.port}")
        self.gpu = values["CUDA_VISIBLE_DEVICES"]
        self._settings = values | {
            "OLLAMA_HOST": f"127.0.0.1:{self.port}",
            "OLLAMA_MODELS": str(locations.folder / "models"),
            "OLLAMA_GPU_MODELS": str(locations.folder / "models.json"),
            "OLLAMA_GPU_START_SECONDS": str(START_SECONDS),
        }

    def start(self, unit: str = "", **changes: str) -> Start:
        """Restart the unit with changed settings; ``unit``: lines for the unit's section Service."""
        self.stop()
        lines = [f"{key}={value}" for key, value in (self._settings | changes).items()]
        self.locations.own_settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.locations.drop_in.mkdir(parents=True, exist_ok=True)
        # Show a refusal once, not every five seconds.
        (self.locations.drop_in / "gpu-tests.conf").write_text(f"[Service]\nRestart=no\n{unit}\n", encoding="utf-8")
        _systemctl("daemon-reload")
        good = _systemctl("start", UNIT)
        self._settle()
        invocation = _output("systemctl", "show", "--property=InvocationID", "--value", UNIT)
        _output("journalctl", "--sync")
        return Start(good, _output("journalctl", "--output=cat", "--no-pager", f"_SYSTEMD_INVOCATION_ID={invocation}"))

    def stop(self) -> None:
        _systemctl("stop", UNIT)
        _systemctl("reset-failed", UNIT)  # which also resets the start counter

    def serve(self, file: Written) -> None:
        """Let the unit load this file's model at its start. Raises UserError if it cannot start."""
        self._name()
        started = self.start()
        if not started.good:
            raise UserError(f"{UNIT} does not start even without a model: {started.log}")
        self.ollama.create(MODEL, file)
        self._name({"name": MODEL, "digest": file.digest})

    def wait_until_it_answers(self, seconds: float = 60) -> None:
        """Wait after a start that did not wait. Raises UserError on a timeout."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.ollama.version()
                return
            except UserError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.2)

    def clear(self) -> None:
        """Remove everything that this class changed on the host."""
        self.stop()
        self.locations.own_settings.unlink(missing_ok=True)
        for folder in (self.locations.drop_in, self.locations.folder):
            shutil.rmtree(folder, ignore_errors=True)
        _systemctl("daemon-reload")

    def _settle(self, seconds: float = 60) -> None:
        """Wait for the unit's end: after a failed start its processes may still be stopping."""
        deadline = time.monotonic() + seconds
        while _output("systemctl", "show", "--property=ActiveState", "--value", UNIT) == "deactivating":
            if time.monotonic() >= deadline:
                raise UserError(f"{UNIT} does not stop.", f"Read `journalctl -u {UNIT}`.")
            time.sleep(0.2)

    def _name(self, *models: Mapping[str, str]) -> None:
        folder = self.locations.folder
        (folder / "models").mkdir(parents=True, exist_ok=True)
        (folder / "models.json").write_text(json.dumps({"models": models}), encoding="utf-8")
        for path in (folder, folder / "models", folder / "models.json"):
            shutil.chown(path, self.locations.user, self.locations.user)


@contextmanager
def scratch(locations: Locations | None = None) -> Iterator[Scratch]:
    """Provide a scratch unit. Removes leftovers of an interrupted run first."""
    found = Scratch(locations or Locations())
    found.clear()
    found.locations.folder.mkdir(parents=True)
    try:
        yield found
    finally:
        found.clear()


def read_settings(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _systemctl(*arguments: str) -> bool:
    command = ["systemctl", *arguments]
    return subprocess.run(command, capture_output=True, timeout=START_SECONDS + 60).returncode == 0


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()
