"""The part of CloudWatch's metric math that alarms use, on the values of one period.

Arithmetic, comparisons, AND, OR, and the functions IF, FILL, MAX, MIN, SUM, AVG, ABS, CEIL, FLOOR. The result of an
operation on a missing value is missing, except for FILL.
Follows: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
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
_UNARY: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
_AGGREGATE: dict[str, Callable[[list[float]], float]] = {
    "MAX": max,
    "MIN": min,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
}


class UnsupportedExpression(ValueError):
    """The expression uses a part of metric math that this module does not support."""


def evaluate(expression: str, values: Mapping[str, Value]) -> Value:
    """Evaluate an expression on the ``values`` of one period, by metric id. None is a missing value."""
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
        return None  # CloudWatch has no data point if a division has no result


def _call(name: str, arguments: list[ast.expr], values: Mapping[str, Value]) -> Value:
    if name == "FILL" and len(arguments) == 2:
        value = _value(arguments[0], values)
        return _value(arguments[1], values) if value is None else value
    if name == "IF" and len(arguments) in (2, 3):
        condition = _value(arguments[0], values)
        if condition:
            return _value(arguments[1], values)
        return _value(arguments[2], values) if condition is not None and len(arguments) == 3 else None
    if name in _UNARY and len(arguments) == 1:
        value = _value(arguments[0], values)
        return None if value is None else float(_UNARY[name](value))
    if name in _AGGREGATE:
        parts: list[ast.expr] = []
        for argument in arguments:
            parts.extend(argument.elts if isinstance(argument, ast.List) else [argument])
        known = [value for value in (_value(part, values) for part in parts) if value is not None]
        return float(_AGGREGATE[name](known)) if known else None
    raise UnsupportedExpression(f"metric math: {name}")
