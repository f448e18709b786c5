"""The command `ollama-gpu cost`: parse, call, print. No logic."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.cli.options import Json


def cost(
    env: Annotated[str, typer.Option("--env", help="Environment to estimate.")] = "prod",
    json: Json = False,
) -> None:
    """Estimate an environment's monthly cost, line by line: minimum, typical and maximum."""
    from ollama_gpu.core import contract, paths
    from ollama_gpu.core.console import note, print_json, print_table
    from ollama_gpu.environment import settings
    from ollama_gpu.planning import cost as estimate
    from ollama_gpu.planning import cost_report, resources
    from ollama_gpu.terraform import values

    where = paths.locate()
    environment = settings.load(where, env)
    found = values.read(where.terraform / "variables.tf", environment.variables_file)
    planned = resources.load(where, environment, found, note)
    made = estimate.make(found, planned, contract.load(where.contract))
    if json:
        print_json(cost_report.values(env, made))
        return
    print_table(f"ENV={env}: USD a month", cost_report.COLUMNS, cost_report.rows(made))
    print()
    print_table("Instances", ("what", "USD a month", "why"), cost_report.fleet_rows(made))
    print()
    print_table("Prices", ("price", "USD", "source"), cost_report.price_rows(made))
