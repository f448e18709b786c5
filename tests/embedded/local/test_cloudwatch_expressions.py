"""Rules of composite alarms, and metric math."""

from __future__ import annotations

import pytest

from ollama_gpu.local.embedded_aws.completions.cloudwatch_math import UnsupportedExpression, evaluate
from ollama_gpu.local.embedded_aws.completions.cloudwatch_rules import RuleError, alarms_named_in, holds

STATES = {"a": "ALARM", "b": "OK", "c d": "INSUFFICIENT_DATA"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ALARM(a)", True),
        ('ALARM("b")', False),
        ('INSUFFICIENT_DATA("c d")', True),
        ("NOT OK(a)", True),
        ("ALARM(a) AND ALARM(b)", False),
        ("ALARM(a) OR ALARM(b)", True),
        ("ALARM(b) AND ALARM(b) OR ALARM(a)", True),  # AND binds closer than OR
        ("ALARM(b) AND (ALARM(b) OR ALARM(a))", False),
        ("NOT (ALARM(b) OR OK(a))", True),
        ("TRUE AND NOT FALSE", True),
        ("ALARM(unknown)", False),
        ("\n  ALARM(a)\n  and ALARM(a)\n", True),
    ],
)
def test_alarm_rule_is_evaluated(rule: str, expected: bool) -> None:
    assert holds(rule, STATES.get) is expected


@pytest.mark.parametrize("rule", ["", "ALARM(", "ALARM(a", "ALARM(a) ALARM(b)", "BROKEN(a)", "(ALARM(a)", 'ALARM("a'])
def test_invalid_alarm_rule_raises_error(rule: str) -> None:
    with pytest.raises(RuleError):
        holds(rule, STATES.get)


def test_alarm_rule_lists_its_alarms() -> None:
    assert alarms_named_in('ALARM("c d") OR (FALSE AND OK(b))') == {"c d", "b"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("100 * (a + b) / c", 75.0),
        ("a ^ 2 - -b", 5.0),
        ("a / zero", None),  # no data point without a result
        ("missing + 1", None),
        ("FILL(missing, 7) + 1", 8.0),
        ("IF(a > b, 10, 20)", 10.0),
        ("IF(a == b, 10, 20)", 20.0),
        ("IF(a == b, 10)", None),
        ("IF(a > b AND c > a, 1, 0)", 1.0),
        ("IF(a < b OR a > b, 1, 0)", 1.0),
        ("MAX([a, b, c, missing])", 4.0),
        ("MIN(a, c)", 2.0),
        ("SUM([a, b])", 3.0),
        ("AVG([a, c])", 3.0),
        ("ABS(b - c)", 3.0),
        ("CEIL(b / a) + FLOOR(b / a)", 1.0),
        ("SUM([missing])", None),
    ],
)
def test_metric_math_is_evaluated(expression: str, expected: float | None) -> None:
    values = {"a": 2.0, "b": 1.0, "c": 4.0, "zero": 0.0, "missing": None}
    assert evaluate(expression, values) == expected


@pytest.mark.parametrize("expression", ["SEARCH('x', 'Sum', 60)", "a +", "unknown", "__import__('os')", "a.real"])
def test_unsupported_metric_math_raises_error(expression: str) -> None:
    with pytest.raises(UnsupportedExpression):
        evaluate(expression, {"a": 1.0})
