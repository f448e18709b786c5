"""Compare the driver with plain Terraform: same tree, same variables, one embedded AWS each, one after the other."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench.measure import Measured, measure, say
from ollama_gpu.environment.embedded_aws import EmbeddedAws
from tests.fabric.driver import COMMAND, ROOT, Driver

PLANS = 3
STARTS = 10


def figures() -> dict[str, Any]:
    """Start-up, plan, apply, second plan, destroy, memory and the driver's overhead."""
    found: dict[str, Any] = {"start-up": startup()}
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-bench-") as folder:
        driver = Driver(Path(folder) / "driver")
        plain = Driver(Path(folder) / "plain")
        try:
            found |= both(driver, plain)
        finally:
            for side in (driver, plain):  # not local-down, which removes the lab of every checkout
                EmbeddedAws(side.work / "embedded-aws").stop()
    return found


def startup() -> dict[str, float]:
    times = []
    for _ in range(STARTS):
        began = time.monotonic()
        subprocess.run([str(COMMAND), "--help"], check=True, capture_output=True)
        times.append(time.monotonic() - began)
    return {"median_s": statistics.median(times), "max_s": max(times)}


def both(driver: Driver, plain: Driver) -> dict[str, Any]:
    say("bootstrapping two embedded AWS")
    for side in (driver, plain):
        require(side.run("bootstrap", "--env", "local"))
    terraform = Plain(plain)
    figures: dict[str, Any] = {}
    say("plain terraform: apply")
    figures["plain: init, plan, apply, plan"] = terraform.deploy()
    say("driver: deploy")
    figures["driver: deploy (the same, preflight, secrets)"] = measure(
        [str(COMMAND), "deploy", "--env", "local", "--no-lab"], driver.environment()
    )
    figures["driver: terraform's share"] = shares(driver)
    figures["embedded AWS with the fabric: MiB"] = server_memory(driver)
    pairs: dict[str, list[Measured]] = defaultdict(list)
    for number in range(PLANS):
        say(f"second plans, pair {number + 1} of {PLANS}")
        pairs["plain"].append(terraform.plan())
        pairs["driver"].append(measure([str(COMMAND), "plan", "--env", "local"], driver.environment()))
    figures["plain: init, validate, second plan"] = pairs["plain"]
    figures["driver: plan"] = pairs["driver"]
    ratios = [ours.seconds / theirs.seconds for ours, theirs in zip(pairs["driver"], pairs["plain"], strict=True)]
    figures["driver's overhead on a plan"] = f"{(statistics.median(ratios) - 1) * 100:+.1f} % (median of {PLANS} pairs)"
    say("plain terraform: destroy")
    figures["plain: destroy"] = terraform.destroy()
    say("driver: destroy")
    figures["driver: destroy (and the walk)"] = measure(
        [str(COMMAND), "destroy", "--env", "local"], driver.environment()
    )
    return figures


class Plain:
    """Terraform run by hand, as in the README of any other project."""

    def __init__(self, side: Driver) -> None:
        exports = json.loads(side.run("env", "--env", "local", "--json").out)["set"]
        self._data = side.work / "plain"
        config = side.work / "terraform.rc"
        more = {"TF_CLI_CONFIG_FILE": str(config)} if config.exists() else {}
        self._side = Driver(side.work, {**exports, **more, "TF_DATA_DIR": str(self._data)})
        account = "123456789012"
        self._backend = [
            f"-backend-config=bucket=ollama-gpu-state-{account}-us-east-1",
            "-backend-config=environments/local.backend.hcl",
        ]

    def deploy(self) -> Measured:
        return self._script(self._init(), self._plan("-out=" + str(self._saved)), self._apply(), self._plan())

    def plan(self) -> Measured:
        return self._script(self._init(), self._terraform("validate"), self._plan())

    def destroy(self) -> Measured:
        return self._script(self._plan("-destroy", "-out=" + str(self._saved)), self._apply())

    @property
    def _saved(self) -> Path:
        return self._side.work / "plain.tfplan"

    def _init(self) -> str:
        return self._terraform("init", "-input=false", "-reconfigure", *self._backend)

    def _plan(self, *options: str) -> str:
        return self._terraform("plan", "-input=false", "-var-file=environments/local.tfvars", *options)

    def _apply(self) -> str:
        return self._terraform("apply", "-input=false", str(self._saved))

    def _terraform(self, *words: str) -> str:
        return " ".join(["terraform", f"-chdir={ROOT / 'terraform'}", *words])

    def _script(self, *steps: str) -> Measured:
        return measure(["sh", "-ec", "\n".join(steps)], self._side.environment())


def server_memory(side: Driver) -> int:
    """Resident set of the embedded AWS in MiB."""
    record = json.loads((side.work / "embedded-aws" / "server.json").read_text())
    return round(psutil.Process(record["pid"]).memory_info().rss / 2**20)


def shares(side: Driver) -> dict[str, float]:
    """Seconds of each Terraform run of the deploy, from the first to the last line of its raw log."""
    found = {}
    for log in sorted((side.work / "environments" / "local" / "logs").glob("*.jsonl")):
        stamps = [event["@timestamp"] for event in events(log) if "@timestamp" in event]
        if len(stamps) > 1:
            found[log.stem] = round(seconds_between(stamps[0], stamps[-1]), 1)
    return found


def events(log: Path) -> list[dict[str, Any]]:
    lines = []
    for line in log.read_text().splitlines():
        with suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                lines.append(value)
    return lines


def seconds_between(first: str, last: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def require(run: Any) -> None:
    if run.status != 0:
        raise SystemExit(run.err)
