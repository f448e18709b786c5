"""The model set that each instance serves, read from its log. Instances follow the SSM parameter on their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ollama_gpu.core.checks import Check
from ollama_gpu.environment.context import Context
from ollama_gpu.models.model_set import Model, published
from ollama_gpu.observe import instance_log

PATTERN = '"ollama-gpu-model-set: "'
"""CloudWatch filter pattern for the lines of the program in role model_set."""

_LINE = re.compile(r"ollama-gpu-model-set: (?:serves (?P<serves>[^\"\n]+)|failed: (?P<failed>.+))")


@dataclass(frozen=True)
class Following:
    """The models that an instance serves, as NAME@ID (the ID of `ollama list`), and why it cannot serve a newer set."""

    serves: tuple[str, ...] = ()
    failed: str = ""

    def __str__(self) -> str:
        return ", ".join(self.serves) + (f"; cannot follow: {self.failed}" if self.failed else "") or "-"

    def as_dict(self) -> dict[str, Any]:
        return {"serves": list(self.serves), **({"failed": self.failed} if self.failed else {})}


def read(context: Context, instance_id: str) -> Following:
    """Return the last state that an instance logged. Empty if it has not logged one yet."""
    return following(instance_log.messages(context, instance_id, PATTERN))


def following(lines: Iterable[str]) -> Following:
    """Parse log lines, oldest first. After a failure, the instance still serves the previous set."""
    found = Following()
    for line in lines:
        match = _LINE.search(line)
        if match and match["serves"]:
            found = Following(tuple(match["serves"].split()))
        elif match:
            found = Following(found.serves, match["failed"].rstrip('"} '))
    return found


def check(context: Context, instances: Sequence[str]) -> Check:
    """Check that these instances serve the published model set."""
    wanted = published(context) or []
    return compare(wanted, {instance: read(context, instance) for instance in instances}, context.environment.name)


def compare(models: Sequence[Model], seen: dict[str, Following], environment: str) -> Check:
    """Compare the published model set with the set that each instance serves."""
    names = {f"{model.name}@{model.digest[len('sha256:') :][:12]}" for model in models}
    behind = {instance: each for instance, each in seen.items() if set(each.serves) != names or each.failed}
    if not behind:
        return Check("models", "ok", f"{len(seen)} instances serve {', '.join(sorted(names)) or 'none'}")
    failed = any(each.failed for each in behind.values())
    details = "; ".join(f"{instance}: {each}" for instance, each in behind.items())
    return Check(
        "models",
        "failed" if failed else "warning",
        f"published: {', '.join(sorted(names)) or 'none'}; {details}",
        f"Instances follow within a minute or two. After a failure, fix the cause, or undo the change with: "
        f"make models ENV={environment} REMOVE=NAME or PIN=NAME@DIGEST.",
    )
