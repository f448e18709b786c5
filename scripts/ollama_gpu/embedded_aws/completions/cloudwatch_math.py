"""CloudWatch's metric math, as much of it as alarms use, over one period's values.

Arithmetic, comparisons, AND, OR, and the functions IF, FILL, MAX, MIN, SUM, AVG, ABS, CEIL, FLOOR. A value
that is missing makes what is computed from it missing, unless FILL gives one.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping

Value = float | None

_OPERATORS: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ALONE: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
_TOGETHER: dict[str, Callable[[list[float]], float]] = {
    "MAX": max,
    "MIN": min,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
}


class UnsupportedExpression(ValueError):
    """The expression uses something that this reading of metric math does not have."""


def evaluate(expression: str, values: Mapping[str, Value]) -> Value:
    """The expression's value in a period in which the metrics have ``values``, by their id; None if
    missing."""
    text = re.sub(r"\bAND\b|&&", " and ", expression)
    text = re.sub(r"\bOR\b|\|\|", " or ", text).replace("^", "**")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise UnsupportedExpression(f"{expression}: {error.msg}") from error
    return _value(tree, values)


def _value(node: ast.AST, values: Mapping[str, Value]) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            if name not in values:
                raise UnsupportedExpression(f"unknown metric {name}")
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _value(operand, values)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _apply(_OPERATORS[type(op)], _value(left, values), _value(right, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            return _apply(_OPERATORS[type(op)], _value(left, values), _value(right, values))
        case ast.BoolOp(op=op, values=parts):
            known = [_value(part, values) for part in parts]
            if None in known:
                return None
            return float(all(known) if isinstance(op, ast.And) else any(known))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _call(name.upper(), arguments, values)
    raise UnsupportedExpression(f"metric math: {ast.unparse(node)}")


def _apply(operation: Callable[[float, float], float], left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    try:
        return float(operation(left, right))
    except (ZeroDivisionError, OverflowError):
        return None  # CloudWatch has no data point where a division has no result


def _call(name: str, arguments: list[ast.expr], values: Mapping[str, Value]) -> Value:
    if name == "FILL" and len(arguments) == 2:
        value = _value(arguments[0], values)
        return _value(arguments[1], values) if value is None else value
    if name == "IF" and len(arguments) in (2, 3):
        condition = _value(arguments[0], values)
        if condition:
            return _value(arguments[1], values)
        return _value(arguments[2], values) if condition is not None and len(arguments) == 3 else None
    if name in _ALONE and len(arguments) == 1:
        value = _value(arguments[0], values)
        return None if value is None else float(_ALONE[name](value))
    if name in _TOGETHER:
        parts: list[ast.expr] = []
        for argument in arguments:
            parts.extend(argument.elts if isinstance(argument, ast.List) else [argument])
        known = [value for value in (_value(part, values) for part in parts) if value is not None]
        return float(_TOGETHER[name](known)) if known else None
    raise UnsupportedExpression(f"metric math: {name}")
