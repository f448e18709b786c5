"""Which model set each instance serves, from what it logged: instances follow the parameter by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ollama_gpu import instance_log
from ollama_gpu.checks import Check
from ollama_gpu.context import Context
from ollama_gpu.models import Model, published

PATTERN = '"ollama-gpu-model-set: "'
"""CloudWatch's filter for the lines of role model_set's program."""

_LINE = re.compile(r"ollama-gpu-model-set: (?:serves (?P<serves>[^\"\n]+)|failed: (?P<failed>.+))")


@dataclass(frozen=True)
class Following:
    """What an instance serves, as NAME@ID (`ollama list` shows the same ID), and why it does not serve a newer set."""

    serves: tuple[str, ...] = ()
    failed: str = ""

    def __str__(self) -> str:
        return ", ".join(self.serves) + (f"; cannot follow: {self.failed}" if self.failed else "") or "-"

    def as_dict(self) -> dict[str, Any]:
        return {"serves": list(self.serves), **({"failed": self.failed} if self.failed else {})}


def read(context: Context, instance_id: str) -> Following:
    """What an instance said last; nothing where it has not looked yet."""
    return following(instance_log.messages(context, instance_id, PATTERN))


def following(lines: Iterable[str]) -> Following:
    """What these lines tell, oldest first. A failure leaves what was served before."""
    found = Following()
    for line in lines:
        match = _LINE.search(line)
        if match and match["serves"]:
            found = Following(tuple(match["serves"].split()))
        elif match:
            found = Following(found.serves, match["failed"].rstrip('"} '))
    return found


def check(context: Context, instances: Sequence[str]) -> Check:
    """A row: does every one of these instances serve the set that is published?"""
    wanted = published(context.environment, context.contract, context.aws) or []
    return compare(wanted, {instance: read(context, instance) for instance in instances}, context.environment.name)


def compare(wanted: Sequence[Model], seen: dict[str, Following], environment: str) -> Check:
    """The row for what was published and what each instance said."""
    names = {f"{model.name}@{model.digest[len('sha256:') :][:12]}" for model in wanted}
    behind = {instance: each for instance, each in seen.items() if set(each.serves) != names or each.failed}
    if not behind:
        return Check("models", "ok", f"{len(seen)} instances serve {', '.join(sorted(names)) or 'none'}")
    failed = any(each.failed for each in behind.values())
    told = "; ".join(f"{instance}: {each}" for instance, each in behind.items())
    return Check(
        "models",
        "failed" if failed else "warning",
        f"published: {', '.join(sorted(names)) or 'none'}; {told}",
        "Mend the cause, or go back with: make models "
        f"ENV={environment} REMOVE=NAME or PIN=NAME@DIGEST. An instance that follows needs a minute or two.",
    )
