"""The image: cold and warm bakes, its size. The roles: `molecule test`, and the duration of a second converge."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.measure import measure, say
from ollama_gpu.environment.embedded_aws import EmbeddedAws
from tests.fabric.driver import COMMAND, ROOT, Driver

SCENARIO = "default"
STEP = re.compile(rf"\[{SCENARIO} > (?P<step>\w+)\] (?P<what>Executing|Executed)(?: *$|:)")
RECAP = re.compile(r"^ollama-gpu-molecule-\S+ +: .*\bchanged=(?P<changed>\d+)")


def figures() -> dict[str, Any]:
    """Seconds of bakes and of molecule, MiB of images. Takes about 15 minutes."""
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-bench-") as folder:
        driver = Driver(Path(folder))
        try:
            return bakes(driver) | molecule()
        finally:
            EmbeddedAws(driver.work / "embedded-aws").stop()  # not local-down, which removes the lab of every checkout


def bakes(driver: Driver) -> dict[str, Any]:
    """Bake cold and warm. The lab's supplies are prepared first: a machine makes them once, not for every bake."""
    served = driver.run("lab", "supply", "--json", seconds=3600)
    if served.status != 0:
        raise SystemExit(served.err)
    say("image: bake, cold")
    bake = [str(COMMAND), "bake", "--env", "local", "-e", "image_keep=1000"]
    found: dict[str, Any] = {"bake, cold (forced)": measure([*bake, "--force"], driver.environment())}
    image = newest(driver)
    try:
        say("image: bake, warm")
        found["bake, warm (finds the image)"] = measure(bake, driver.environment())
        found["image: MiB"] = mebibytes(image)
        found["stock image that it was made of: MiB"] = mebibytes(served.json["lab_base_image"])
    finally:
        docker("image", "rm", image)
    return found


def newest(driver: Driver) -> str:
    """The container image that was baked last in a driver's work folder."""
    names = ("--filter", f"label=ollama-gpu.work={driver.work}", "--format", "{{.Repository}}:{{.Tag}}")
    return docker("image", "ls", *names).split()[0]


def mebibytes(image: str) -> int:
    return round(int(docker("image", "inspect", "--format", "{{.Size}}", image)) / 2**20)


def molecule() -> dict[str, Any]:
    """Time the steps of `molecule test`, from its output as it arrives."""
    say(f"image: molecule test --scenario-name {SCENARIO}")
    binaries = COMMAND.parent
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    command = [str(binaries / "molecule"), "test", "--scenario-name", SCENARIO]
    began = time.monotonic()
    kept: list[str] = []
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None

    def timed() -> Iterator[tuple[float, str]]:
        for line in process.stdout or ():
            kept.append(line)
            yield time.monotonic() - began, line

    seconds, changed = steps(timed())
    if process.wait() != 0:
        raise SystemExit("".join(kept[-40:]))
    return {
        "molecule test: s": round(time.monotonic() - began, 1),
        "converge of a stock host: s": seconds["converge"],
        f"second converge ({changed['idempotence']} changed): s": seconds["idempotence"],
    }


def steps(lines: Iterable[tuple[float, str]]) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds of each step, and the number of tasks that changed something; each line comes with its time."""
    seconds: dict[str, float] = {}
    changed: dict[str, int] = {}
    step, began = "", 0.0
    for now, line in lines:
        if found := STEP.search(line):
            if found["what"] == "Executing":
                step, began = found["step"], now
            else:
                seconds[found["step"]] = round(now - began, 1)
        elif recap := RECAP.match(line):
            changed[step] = int(recap["changed"])
    return seconds, changed


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()
