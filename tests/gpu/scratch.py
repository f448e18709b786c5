"""One more instance of the role's unit beside those that serve: another port, a store of its own, gone afterwards.

It is `ollama@15`: the unit, the programs before and after it and the confinement are the role's own, and so is the GPU.
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

from ollama_gpu.contract import load
from ollama_gpu.errors import UserError
from ollama_gpu.paths import locate
from tests.bench.ollama import Ollama
from tests.bench.random_model import Written
from tests.gpu.host import SETTINGS

INDEX = 15  # the last that the role keeps a port for
UNIT = f"ollama@{INDEX}.service"
MODEL = "random-weights:latest"
START_SECONDS = 600


@dataclass(frozen=True)
class Places:
    """Where the role has its settings, and what is ours alone; ``drop_in`` is gone with the next boot at the latest."""

    settings: Path = SETTINGS
    drop_in: Path = Path(f"/run/systemd/system/{UNIT}.d")
    folder: Path = Path("/var/lib/ollama/gpu-tests")  # the unit may write there
    user: str = "ollama"

    @property
    def own_settings(self) -> Path:
        return self.settings / f"{INDEX}.env"


@dataclass(frozen=True)
class Start:
    """How a start ended; ``said`` is what the unit and its programs wrote of it."""

    good: bool
    said: str


class Scratch:
    """Got from `scratch`, which takes everything away again."""

    def __init__(self, places: Places) -> None:
        serving = [file for file in places.settings.glob("*.env") if file != places.own_settings]
        if not serving:
            raise UserError(f"No instance of Ollama is set up in {places.settings}.", "Converge this host first.")
        values = read_settings(min(serving))
        self.places = places
        self.port = load(locate().contract).ports["ollama_first"] + INDEX
        self.ollama = Ollama(f"http://127.0.0.1:{self.port}")
        self.gpu = values["CUDA_VISIBLE_DEVICES"]
        self._settings = values | {
            "OLLAMA_HOST": f"127.0.0.1:{self.port}",
            "OLLAMA_MODELS": str(places.folder / "models"),
            "OLLAMA_GPU_MODELS": str(places.folder / "models.json"),
            "OLLAMA_GPU_START_SECONDS": str(START_SECONDS),
        }

    def start(self, unit: str = "", **changes: str) -> Start:
        """Start it anew with changed settings; ``unit``: lines for the unit's section Service."""
        self.stop()
        lines = [f"{key}={value}" for key, value in (self._settings | changes).items()]
        self.places.own_settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.places.drop_in.mkdir(parents=True, exist_ok=True)
        # a refusal is to be seen once, not every five seconds
        (self.places.drop_in / "gpu-tests.conf").write_text(f"[Service]\nRestart=no\n{unit}\n", encoding="utf-8")
        _systemctl("daemon-reload")
        good = _systemctl("start", UNIT)
        self._settle()
        invocation = _output("systemctl", "show", "--property=InvocationID", "--value", UNIT)
        _output("journalctl", "--sync")
        return Start(good, _output("journalctl", "--output=cat", "--no-pager", f"_SYSTEMD_INVOCATION_ID={invocation}"))

    def stop(self) -> None:
        _systemctl("stop", UNIT)
        _systemctl("reset-failed", UNIT)  # which also forgets how often it was started

    def serve(self, file: Written) -> None:
        """Make the model of this file what the unit loads at its start. UserError when it cannot start."""
        self._name()
        started = self.start()
        if not started.good:
            raise UserError(f"{UNIT} does not start, without any model: {started.said}")
        self.ollama.create(MODEL, file)
        self._name({"name": MODEL, "digest": file.digest})

    def wait_until_it_answers(self, seconds: float = 60) -> None:
        """For a start that did not wait itself. UserError when it does not."""
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
        """Leave the host as if this had never been."""
        self.stop()
        self.places.own_settings.unlink(missing_ok=True)
        for folder in (self.places.drop_in, self.places.folder):
            shutil.rmtree(folder, ignore_errors=True)
        _systemctl("daemon-reload")

    def _settle(self, seconds: float = 60) -> None:
        """A start has failed while what it started still ends."""
        deadline = time.monotonic() + seconds
        while _output("systemctl", "show", "--property=ActiveState", "--value", UNIT) == "deactivating":
            if time.monotonic() >= deadline:
                raise UserError(f"{UNIT} does not end.", f"Read `journalctl -u {UNIT}`.")
            time.sleep(0.2)

    def _name(self, *models: Mapping[str, str]) -> None:
        folder = self.places.folder
        (folder / "models").mkdir(parents=True, exist_ok=True)
        (folder / "models.json").write_text(json.dumps({"models": models}), encoding="utf-8")
        for path in (folder, folder / "models", folder / "models.json"):
            shutil.chown(path, self.places.user, self.places.user)


@contextmanager
def scratch(places: Places | None = None) -> Iterator[Scratch]:
    """What an interrupted run may have left goes first."""
    found = Scratch(places or Places())
    found.clear()
    found.places.folder.mkdir(parents=True)
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
