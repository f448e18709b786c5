"""The command `ollama-gpu cost`: parse, call, print. No logic."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.options import Json


def cost(
    env: Annotated[str, typer.Option("--env", help="Environment whose variables are priced.")] = "prod",
    json: Json = False,
) -> None:
    """What an environment costs a month, line by line: at its smallest, on a usual month, at its largest."""
    from ollama_gpu import contract, environments, paths
    from ollama_gpu.console import print_json, print_table
    from ollama_gpu.cost import estimate, report
    from ollama_gpu.terraform import values

    where = paths.locate()
    environment = environments.load(where, env)
    found = values.read(where.terraform / "variables.tf", environment.variables_file)
    made = estimate.make(found, contract.load(where.contract))
    if json:
        print_json(report.values(env, made))
        return
    print_table(f"ENV={env}: USD a month", report.COLUMNS, report.rows(made))
    print()
    print_table("Instances", ("what", "USD a month", "why"), report.fleet_rows(made))
    print()
    print_table("What this rests on", ("price", "USD", "source"), report.price_rows(made))
