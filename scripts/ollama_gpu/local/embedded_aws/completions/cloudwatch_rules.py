"""The rule of a composite alarm, e.g. ``ALARM("x") AND NOT (OK(y) OR INSUFFICIENT_DATA(z))``, ``TRUE``, ``FALSE``.

Follows: CloudWatch API Reference, PutCompositeAlarm, AlarmRule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
# a name may be quoted; an unquoted name ends at a parenthesis or white space
_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([()])|([^\s()"]+))')


class RuleError(ValueError):
    """The rule is not valid."""


def holds(rule: str, state_of: Callable[[str], str | None]) -> bool:
    """Evaluate a rule. ``state_of`` returns the state of an alarm by name or ARN. Raises RuleError."""
    tokens = list(_tokens(rule))
    value, rest = _either(tokens, state_of)
    if rest:
        raise RuleError(f"unexpected {rest[0]!r}")
    return value


def alarms_named_in(rule: str) -> set[str]:
    """Return the names or ARNs of the alarms in the rule. Raises RuleError."""
    names: set[str] = set()

    def note(name: str) -> None:
        names.add(name)

    holds(rule, note)
    return names


def _tokens(rule: str) -> Iterator[str]:
    position = 0
    while rule[position:].strip():
        found = _TOKEN.match(rule, position)
        if not found:
            raise RuleError(f"unreadable at {rule[position : position + 20]!r}")
        quoted, parenthesis, word = found.groups()
        yield quoted if quoted is not None else parenthesis or word
        position = found.end()


def _either(tokens: list[str], state_of: Callable[[str], str | None]) -> tuple[bool, list[str]]:
    value, rest = _both(tokens, state_of)
    while rest and rest[0].upper() == "OR":
        other, rest = _both(rest[1:], state_of)
        value = value or other
    return value, rest


def _both(tokens: list[str], state_of: Callable[[str], str | None]) -> tuple[bool, list[str]]:
    value, rest = _single(tokens, state_of)
    while rest and rest[0].upper() == "AND":
        other, rest = _single(rest[1:], state_of)
        value = value and other
    return value, rest


def _single(tokens: list[str], state_of: Callable[[str], str | None]) -> tuple[bool, list[str]]:
    if not tokens:
        raise RuleError("unexpected end of the rule")
    word, rest = tokens[0].upper(), tokens[1:]
    if word == "NOT":
        value, rest = _single(rest, state_of)
        return not value, rest
    if word in ("TRUE", "FALSE"):
        return word == "TRUE", rest
    if word == "(":
        value, rest = _either(rest, state_of)
        if not rest or rest[0] != ")":
            raise RuleError("a parenthesis is not closed")
        return value, rest[1:]
    if word in STATES and len(rest) >= 3 and rest[0] == "(" and rest[2] == ")":
        return state_of(rest[1]) == word, rest[3:]
    raise RuleError(f"unexpected {tokens[0]!r}")
