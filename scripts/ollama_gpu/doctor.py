"""Is this machine fit to run the product? Looks only; changes nothing and needs no AWS."""

from __future__ import annotations

import os
import shutil
import sys

from ollama_gpu import doctor_lab, doctor_shell, environments, toolchain
from ollama_gpu.checks import Check
from ollama_gpu.embedded_aws.process import EmbeddedAws
from ollama_gpu.errors import UserError
from ollama_gpu.lab import places
from ollama_gpu.lab.follower import Follower
from ollama_gpu.paths import Paths

FREE_GIB = 5
"""Terraform's data, plans and logs of an environment take about 1 GiB (the AWS provider alone 0.7)."""


def run(paths: Paths, environment: str) -> list[Check]:
    """Rows about Python, Terraform, tools, disk, the environment's files, this shell and, for ENV=local, the lab."""
    rows = [Check("Python", "ok", ".".join(str(part) for part in sys.version_info[:3]))]
    rows += toolchain.rows(paths, environment)
    rows += [_tool("git", "its commit is the release"), _tool("make", "it is the front door")]
    rows.append(_disk(paths))
    rows.append(_environment(paths, environment))
    rows += doctor_shell.rows(os.environ, environment == environments.EMBEDDED)
    if environment == environments.EMBEDDED:
        endpoint = EmbeddedAws(paths.embedded_aws).running()
        rows.append(
            Check(
                "embedded AWS",
                "ok",
                f"answers at {endpoint.url}" if endpoint else "not running; `make deploy ENV=local` starts it",
            )
        )
        follower = Follower(places.locate(paths).work / environment)
        rows += doctor_lab.rows(lab_runs=follower.running() is not None)
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


def _environment(paths: Paths, name: str) -> Check:
    try:
        environment = environments.load(paths, name)
    except UserError as error:
        return Check(f"ENV={name}", "failed", error.message, error.remedy)
    fleets = ", ".join(
        f"{key} {fleet.min_size} to {fleet.max_size}" for key, fleet in environment.variables.fleets.items()
    )
    return Check(f"ENV={name}", "ok", f"{environment.region}; fleets: {fleets}")
