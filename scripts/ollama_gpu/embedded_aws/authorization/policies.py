"""What IAM policies say of one request: the evaluation logic of AWS, without anything of moto's.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Need:
    """A permission that a request takes: an action on a resource (an ARN or "*"), with its condition keys."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Policies:
    """The documents (JSON) that bind a caller. A boundary or session policy that is None does not limit."""

    identity: tuple[str, ...] = ()
    boundary: str | None = None
    session: str | None = None


def why_refused(policies: Policies, need: Need) -> str | None:
    """The end of AWS's sentence about a refusal, None if the need is granted.

    Raises NotImplementedError for what the evaluation lacks: policy variables and rare condition operators.
    """
    layers = [("an", "identity-based policy", policies.identity)]
    if policies.boundary is not None:
        layers.append(("a", "permissions boundary", (policies.boundary,)))
    if policies.session is not None:
        layers.append(("a", "session policy", (policies.session,)))
    said = [(article, kind, _effects(documents, need)) for article, kind, documents in layers]
    for article, kind, effects in said:
        if "Deny" in effects:
            return f"with an explicit deny in {article} {kind}"
    for _, kind, effects in said:
        if "Allow" not in effects:
            return f"because no {kind} allows the {need.action} action"
    return None


def _effects(documents: Iterable[str], need: Need) -> set[str]:
    """The effects of all statements that the need matches."""
    return {statement["Effect"] for text in documents for statement in _statements(text) if _concerns(statement, need)}


@functools.lru_cache(maxsize=256)
def _statements(document: str) -> tuple[Mapping[str, Any], ...]:
    if "${" in document:
        raise NotImplementedError("policy variables (${...}) in a role's policy")
    return tuple(_listed(json.loads(document)["Statement"]))


def _concerns(statement: Mapping[str, Any], need: Need) -> bool:
    return (
        _element_matches(statement, "Action", need.action.lower(), str.lower)
        and _element_matches(statement, "Resource", need.resource, str)
        and all(
            _holds(operator, key, _listed(wanted), need.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _element_matches(statement: Mapping[str, Any], name: str, value: str, normal: Callable[[str], str]) -> bool:
    """Whether Action or Resource matches, or NotAction or NotResource in their place does not."""
    if name in statement:
        return any(_like(normal(pattern), value) for pattern in _listed(statement[name]))
    return not any(_like(normal(pattern), value) for pattern in _listed(statement[f"Not{name}"]))


def _holds(operator: str, key: str, wanted: list[Any], context: Mapping[str, str]) -> bool:
    """One line of a condition. An absent key matches nothing, so a negated operator holds for it."""
    name = operator.removesuffix("IfExists")
    value = next((value for known, value in context.items() if known.lower() == key.lower()), None)
    if name == "Null":
        return (value is None) == (str(wanted[0]).lower() == "true")
    negated = "Not" in name
    matches = _OPERATORS.get(name.replace("Not", "", 1))
    if matches is None:
        raise NotImplementedError(f"the condition operator {operator} of a role's policy")
    if value is None:
        return negated or operator != name
    return any(matches(str(pattern), value) for pattern in wanted) != negated


def _like(pattern: str, value: str) -> bool:
    return _expression(pattern).fullmatch(value) is not None


@functools.lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _arn_like(pattern: str, value: str) -> bool:
    """Each of an ARN's six parts by itself: a wildcard does not reach over a colon, but in the last."""
    patterns, parts = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(parts) and all(map(_like, patterns, parts))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "ArnEquals": _arn_like,  # the two are the same in AWS
    "ArnLike": _arn_like,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _like,
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
