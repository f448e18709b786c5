"""The commands `ollama-gpu capacity` and `ollama-gpu simulate`: parse, call, print. No logic."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ollama_gpu.cli.options import Json

if TYPE_CHECKING:
    from ollama_gpu.planning.scenario import Choices

Env = Annotated[str, typer.Option("--env", help="Environment to plan for: prod, staging, dev or your own.")]
Users = Annotated[int, typer.Option("--users", help="Concurrent users (simulate: at the peaks).")]
Think = Annotated[
    float | None, typer.Option("--think-seconds", help="Seconds a user reads and types between two answers.")
]
Prompt = Annotated[float | None, typer.Option("--prompt-tokens", help="Prompt tokens of a question.")]
Answer = Annotated[float | None, typer.Option("--answer-tokens", help="Tokens of an answer.")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Model, by its Ollama name. Default: the first in the environment's variable models."),
]
Type = Annotated[
    str | None, typer.Option("--instance-type", help="EC2 instance type. Default: the fleet's first choice.")
]
Slots = Annotated[
    int | None, typer.Option("--slots", help="Concurrent streams on a GPU. Default: ollama_num_parallel.")
]
Context = Annotated[
    int | None, typer.Option("--context", help="Context length of a slot, in tokens. Default: ollama_context_length.")
]
Rates = Annotated[
    str | None,
    typer.Option("--rates", help="Measured tokens/s of each stream by the number of streams on a GPU: 1:68,4:51,8:38."),
]
Figures = Annotated[
    Path | None,
    typer.Option("--figures", help="Folder with measurements of `make gpu-figures`. Default: the committed ones."),
]
PromptRate = Annotated[float | None, typer.Option("--prompt-rate", help="Measured prompt tokens/s of a GPU.")]


def capacity(
    env: Env = "prod",
    users: Users = 3000,
    think_seconds: Think = None,
    prompt_tokens: Prompt = None,
    answer_tokens: Answer = None,
    model: Model = None,
    instance_type: Type = None,
    slots: Slots = None,
    context: Context = None,
    rates: Rates = None,
    prompt_rate: PromptRate = None,
    figures: Figures = None,
    json: Json = False,
) -> None:
    """Plan capacity: streams, slots, GPU memory, processes, instances and price for a number of users."""
    from ollama_gpu.core import paths
    from ollama_gpu.core.console import print_json, print_table
    from ollama_gpu.planning import demand, report, scenario

    choices = _choices(model, instance_type, slots, context, rates, prompt_rate, figures)
    found = scenario.load(paths.locate(), env, choices)
    plan = found.plan(demand.of(users, think_seconds, prompt_tokens, answer_tokens, found.priors))
    if json:
        print_json(report.plan_values(found, plan))
        return
    print_table(
        f"ENV={env}: {users} users, {found.model.name}", ("item", "value", "reason"), report.plan_rows(found, plan)
    )
    print()
    gpu = plan.kind.gpus.name.partition(" ")[0]
    print_table("Assumptions", ("figure", "value", "source"), report.prior_rows(found.priors, gpu))


def simulate(
    env: Env = "prod",
    users: Users = 3000,
    fewest: Annotated[
        int, typer.Option("--fewest", help="Users at night. Equal to --users: the same number all day.")
    ] = 100,
    think_seconds: Think = None,
    prompt_tokens: Prompt = None,
    answer_tokens: Answer = None,
    model: Model = None,
    instance_type: Type = None,
    slots: Slots = None,
    context: Context = None,
    rates: Rates = None,
    prompt_rate: PromptRate = None,
    figures: Figures = None,
    max_size: Annotated[
        int | None, typer.Option("--max-size", help="Maximum number of instances. Default: the fleet's max_size.")
    ] = None,
    boot_seconds: Annotated[
        float | None, typer.Option("--boot-seconds", help="Seconds from launch to in service.")
    ] = None,
    date: Annotated[
        str, typer.Option("--date", help="Date of the simulated day, YYYY-MM-DD: its weekday decides the schedule.")
    ] = "2026-11-23",
    hours: Annotated[float, typer.Option("--hours", help="Hours to simulate, from midnight.")] = 24,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of the random numbers. The same seed gives the same day.")
    ] = 1,
    picture: Annotated[Path | None, typer.Option("--picture", help="File for a picture of the day (SVG).")] = None,
    json: Json = False,
) -> None:
    """Simulate a day with the fleet's scaling: time to first token, refusals, instances and cost by hour."""
    from ollama_gpu.core import paths
    from ollama_gpu.core.console import note, print_json, print_table
    from ollama_gpu.core.errors import UserError
    from ollama_gpu.planning import demand, report, scenario, simulation
    from ollama_gpu.planning import picture as pictures
    from ollama_gpu.planning.day import Day

    if not 0 < fewest <= users or not 0 < hours <= 24:
        raise UserError("--fewest must be 1 to --users, and --hours above 0 and at most 24.", status=2)
    try:
        on = datetime.date.fromisoformat(date)
    except ValueError as error:
        raise UserError(f"--date {date} is not a valid date.", "Write it as 2026-11-23.", status=2) from error
    choices = _choices(model, instance_type, slots, context, rates, prompt_rate, figures)
    choices = replace(choices, boot_seconds=boot_seconds, max_size=max_size)
    found = scenario.load(paths.locate(), env, choices)
    asked = demand.of(users, think_seconds, prompt_tokens, answer_tokens, found.priors)
    day = Day(fewest, users)
    note(
        f"ENV={env}: simulating {hours:g} hours of {fewest} to {users} users. A day of 3000 users takes half a minute."
    )
    outcome = simulation.run(day, asked, found.service, found.policies(on), found.priors, seed, hours * 3600)
    values = report.day_values(found, day, outcome)
    if picture is not None:
        picture.write_text(pictures.draw(values), encoding="utf-8")
        note(f"Wrote the picture to {picture}.")
    if json:
        print_json(values)
        return
    print_table(f"ENV={env}: {found.model.name}, a day by hour", report.DAY_COLUMNS, report.day_rows(values))
    print()
    print_table("Summary", ("item", "value", "details"), report.day_summary(values))


def _choices(
    model: str | None,
    instance_type: str | None,
    slots: int | None,
    context: int | None,
    rates: str | None,
    prompt_rate: float | None,
    figures: Path | None,
) -> Choices:
    """Collect the options that both commands share."""
    from ollama_gpu.planning import scenario

    measured = scenario.parse_rates(rates) if rates else None
    return scenario.Choices(model, instance_type, slots, context, measured, prompt_rate, figures=figures)
