"""What people ask for: how many, how long they think, how long the questions and answers are."""

from __future__ import annotations

from dataclasses import dataclass

from ollama_gpu.capacity.priors import Priors
from ollama_gpu.errors import UserError


@dataclass(frozen=True)
class Demand:
    """``users`` at the same time, each of whom thinks, asks, reads the answer as it comes, and thinks again."""

    users: int
    think_seconds: float
    prompt_tokens: float
    answer_tokens: float


def of(
    users: int, think_seconds: float | None, prompt_tokens: float | None, answer_tokens: float | None, priors: Priors
) -> Demand:
    """The demand with a prior for what is None. Raises UserError (status 2) for figures that nobody can have."""
    demand = Demand(
        users,
        priors.value("think_seconds") if think_seconds is None else think_seconds,
        priors.value("prompt_tokens") if prompt_tokens is None else prompt_tokens,
        priors.value("answer_tokens") if answer_tokens is None else answer_tokens,
    )
    if demand.users < 1 or demand.think_seconds < 0 or demand.prompt_tokens < 1 or demand.answer_tokens < 1:
        raise UserError(
            "There must be at least one user, thinking 0 s or longer, with at least one token in and one out.",
            "Correct --users, --think-seconds, --prompt-tokens or --answer-tokens.",
            status=2,
        )
    return demand
