"""Checks whether this machine can run a deploy. Read-only, and needs no AWS."""

from __future__ import annotations

import os
import shutil
import sys

from ollama_gpu.bake import forecast
from ollama_gpu.core.checks import Check
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.doctor import lab, shell
from ollama_gpu.environment import settings
from ollama_gpu.environment.embedded_aws import EmbeddedAws
from ollama_gpu.environment.settings import Environment
from ollama_gpu.fabric import toolchain
from ollama_gpu.local.lab import locations
from ollama_gpu.local.lab.follower import Follower

FREE_GIB = 5
"""Terraform's data, plans and logs of an environment use about 1 GiB (0.7 GiB of it for the AWS provider)."""


def run(paths: Paths, environment: str) -> list[Check]:
    """Check Python, Terraform, tools, disk, the environment's files, this shell and, for ENV=local, the lab."""
    rows = [Check("Python", "ok", ".".join(str(part) for part in sys.version_info[:3]))]
    rows += toolchain.rows(paths, environment)
    rows += [_tool("git", "the release is its commit"), _tool("make", "it runs all commands")]
    rows.append(_disk(paths))
    rows += shell.rows(os.environ, environment == settings.EMBEDDED)
    try:
        chosen = settings.load(paths, environment)
    except UserError as error:
        return [*rows, Check(f"ENV={environment}", "failed", error.message, error.remedy)]
    rows.append(_environment(chosen))
    if chosen.embedded:
        endpoint = EmbeddedAws(paths.embedded_aws).running()
        rows.append(
            Check(
                "embedded AWS",
                "ok",
                f"runs at {endpoint.url}" if endpoint else "not running; `make deploy ENV=local` starts it",
            )
        )
        follower = Follower(locations.locate(paths).work / environment)
        next_deploy = forecast.of(paths, chosen)
        rows += lab.rows(lab_runs=follower.running() is not None, next_deploy=next_deploy)
    return rows


def _tool(name: str, why: str) -> Check:
    found = shutil.which(name)
    return Check(name, "ok", found) if found else Check(name, "failed", "not found", f"Install {name}: {why}.")


def _disk(paths: Paths) -> Check:
    folder = paths.work if paths.work.exists() else paths.work.parent
    free = shutil.disk_usage(folder).free / 2**30
    if free < FREE_GIB:
        return Check(
            "disk",
            "failed",
            f"{free:.1f} GiB free for {folder}",
            f"Free {FREE_GIB} GiB, or set OLLAMA_GPU_WORK to another disk.",
        )
    return Check("disk", "ok", f"{free:.0f} GiB free")


def _environment(environment: Environment) -> Check:
    fleets = ", ".join(
        f"{key} {fleet.min_size} to {fleet.max_size}" for key, fleet in environment.variables.fleets.items()
    )
    return Check(f"ENV={environment.name}", "ok", f"{environment.region}; fleets: {fleets}")
