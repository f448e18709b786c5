"""The evaluation logic of IAM policies for one permission. Independent of moto.

Follows: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Permission:
    """A permission that a request requires: an action on a resource (an ARN or "*"), with its condition keys."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Policies:
    """The policy documents (JSON) of a caller. A boundary or session policy of None does not limit."""

    identity: tuple[str, ...] = ()
    boundary: str | None = None
    session: str | None = None


def why_denied(policies: Policies, permission: Permission) -> str | None:
    """Return the end of AWS's message for a denied permission, or None if it is granted.

    Raises NotImplementedError for policy variables and condition operators that it does not support.
    """
    layers = [("an", "identity-based policy", policies.identity)]
    if policies.boundary is not None:
        layers.append(("a", "permissions boundary", (policies.boundary,)))
    if policies.session is not None:
        layers.append(("a", "session policy", (policies.session,)))
    effects_by_layer = [(article, kind, _effects(documents, permission)) for article, kind, documents in layers]
    for article, kind, effects in effects_by_layer:
        if "Deny" in effects:
            return f"with an explicit deny in {article} {kind}"
    for _, kind, effects in effects_by_layer:
        if "Allow" not in effects:
            return f"because no {kind} allows the {permission.action} action"
    return None


def _effects(documents: Iterable[str], permission: Permission) -> set[str]:
    """Return the effects of all statements that match the permission."""
    statements = (statement for document in documents for statement in _statements(document))
    return {statement["Effect"] for statement in statements if _matches(statement, permission)}


@functools.lru_cache(maxsize=256)
def _statements(document: str) -> tuple[Mapping[str, Any], ...]:
    if "${" in document:
        raise NotImplementedError("policy variables (${...}) in a role's policy")
    return tuple(_listed(json.loads(document)["Statement"]))


def _matches(statement: Mapping[str, Any], permission: Permission) -> bool:
    return (
        _element_matches(statement, "Action", permission.action.lower(), str.lower)
        and _element_matches(statement, "Resource", permission.resource, str)
        and all(
            _holds(operator, key, _listed(wanted), permission.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _element_matches(statement: Mapping[str, Any], name: str, value: str, normal: Callable[[str], str]) -> bool:
    """Whether Action or Resource matches, or NotAction or NotResource does not match."""
    if name in statement:
        return any(_like(normal(pattern), value) for pattern in _listed(statement[name]))
    return not any(_like(normal(pattern), value) for pattern in _listed(statement[f"Not{name}"]))


def _holds(operator: str, key: str, wanted: list[Any], context: Mapping[str, str]) -> bool:
    """Evaluate one key of a condition. An absent key matches nothing, so a negated operator is true for it."""
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
    """Compare the six parts of an ARN separately: only in the last part does a wildcard match a colon."""
    patterns, parts = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(parts) and all(map(_like, patterns, parts))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "ArnEquals": _arn_like,  # AWS treats both alike
    "ArnLike": _arn_like,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _like,
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
