"""The users' demand: number of users, think time, and length of prompts and answers."""

from __future__ import annotations

from dataclasses import dataclass

from ollama_gpu.core.errors import UserError
from ollama_gpu.planning.priors import Priors


@dataclass(frozen=True)
class Demand:
    """``users`` are concurrent: each thinks, asks, reads the answer as it streams, and thinks again."""

    users: int
    think_seconds: float
    prompt_tokens: float
    answer_tokens: float


def of(
    users: int, think_seconds: float | None, prompt_tokens: float | None, answer_tokens: float | None, priors: Priors
) -> Demand:
    """Build the demand, with priors in place of None. Raises UserError (status 2) for impossible figures."""
    demand = Demand(
        users,
        priors.value("think_seconds") if think_seconds is None else think_seconds,
        priors.value("prompt_tokens") if prompt_tokens is None else prompt_tokens,
        priors.value("answer_tokens") if answer_tokens is None else answer_tokens,
    )
    if demand.users < 1 or demand.think_seconds < 0 or demand.prompt_tokens < 1 or demand.answer_tokens < 1:
        raise UserError(
            "There must be at least one user, a think time of 0 s or more, and one token per prompt and answer.",
            "Correct --users, --think-seconds, --prompt-tokens or --answer-tokens.",
            status=2,
        )
    return demand
