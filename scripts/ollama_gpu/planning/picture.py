"""A simulated day as an SVG: users and instances at the top, time to first token and refusals below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 960, 520
_LEFT, _RIGHT, _TOP, _GAP = 70, 70, 60, 60
_PLOT = _WIDTH - _LEFT - _RIGHT
_BAND = (_HEIGHT - _TOP - 2 * _GAP) // 2
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#2563a8", "#d9822b", "#3a7d44", "#b3261e", "#888888"
_GOAL_SECONDS = 2.0  # requirement 1.5


def draw(values: dict[str, Any]) -> str:
    """Draw the values of ollama_gpu.planning.report.day_values."""
    quarters = values["quarters"]
    hours = [each["hour"] for each in quarters]
    end = max(hours, default=23.75) + 0.25
    x = [_LEFT + _PLOT * hour / end for hour in hours]
    upper, lower = _TOP, _TOP + _BAND + _GAP
    users = [each["users"] for each in quarters]
    instances = [each["instances"] for each in quarters]
    p50 = [each["first_token_p50_seconds"] or 0 for each in quarters]
    p95 = [each["first_token_p95_seconds"] or 0 for each in quarters]
    refused = [each["refused"] for each in quarters]
    most_users, most_instances = _ceiling(users), _ceiling(instances)
    slowest, most_refused = _ceiling([*p95, _GOAL_SECONDS * 1.2]), _ceiling(refused)
    first, last = values["users"]
    title = f"{values['environment']}: {values['model']} on {values['instance_type']}, {first} to {last} users"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 24, title, "#222222", size=16),
        *_frame(upper, end),
        *_frame(lower, end),
        *_scale(upper, most_users, _LEFT - 8, _BLUE, "end", "users"),
        *_scale(upper, most_instances, _LEFT + _PLOT + 8, _ORANGE, "start", "instances"),
        _line(x, users, upper, most_users, _BLUE),
        _steps(x, instances, upper, most_instances, _ORANGE),
        *_scale(lower, slowest, _LEFT - 8, _GREEN, "end", "first token: p50, p95 (dark), s"),
    ]
    if any(refused):
        parts += _scale(lower, most_refused, _LEFT + _PLOT + 8, _RED, "start", "refused")
        parts += _bars(x, refused, lower, most_refused, _RED)
    goal = _y(_GOAL_SECONDS, lower, slowest)
    parts += [
        f'<line x1="{_LEFT}" x2="{_LEFT + _PLOT}" y1="{goal:.1f}" y2="{goal:.1f}" '
        f'stroke="{_GREY}" stroke-dasharray="5 4"/>',
        _text(_LEFT + 6, goal - 4, f"goal {_GOAL_SECONDS:g} s", _GREY),
        _line(x, p50, lower, slowest, "#8cc39a"),
        _line(x, p95, lower, slowest, _GREEN),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _ceiling(values: Sequence[float]) -> float:
    """Return a round number at or above all values."""
    most = max(values, default=0) or 1
    power = 10.0 ** (len(str(int(most))) - 1) if most >= 1 else 0.1
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= most)


def _y(value: float, top: int, most: float) -> float:
    return top + _BAND - _BAND * value / most


def _frame(top: int, end: float) -> list[str]:
    bottom = top + _BAND
    parts = [f'<rect x="{_LEFT}" y="{top}" width="{_PLOT}" height="{_BAND}" fill="none" stroke="#cccccc"/>']
    for hour in range(0, int(end) + 1, 3):
        place = _LEFT + _PLOT * hour / end
        parts.append(f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{top}" y2="{bottom}" stroke="#eeeeee"/>')
        parts.append(_text(place, bottom + 16, f"{hour:02}:00", _GREY, anchor="middle"))
    return parts


def _scale(top: int, most: float, place: int, colour: str, anchor: str, what: str) -> list[str]:
    marks = [_text(place, _y(most * part, top, most) + 4, f"{most * part:g}", colour, anchor) for part in (0, 0.5, 1)]
    heading = _text(
        _LEFT if anchor == "end" else _LEFT + _PLOT, top - 10, what, colour, "start" if anchor == "end" else "end"
    )
    return [*marks, heading]


def _line(x: Sequence[float], values: Sequence[float], top: int, most: float, colour: str) -> str:
    points = " ".join(f"{place:.1f},{_y(value, top, most):.1f}" for place, value in zip(x, values, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _steps(x: Sequence[float], values: Sequence[float], top: int, most: float, colour: str) -> str:
    stairs: list[tuple[float, float]] = []
    for place, value in zip(x, values, strict=True):
        if stairs:
            stairs.append((place, stairs[-1][1]))
        stairs.append((place, value))
    return _line([place for place, _ in stairs], [value for _, value in stairs], top, most, colour)


def _bars(x: Sequence[float], values: Sequence[float], top: int, most: float, colour: str) -> list[str]:
    width = _PLOT / max(1, len(x)) * 0.8
    return [
        f'<rect x="{place:.1f}" y="{_y(value, top, most):.1f}" width="{width:.1f}" '
        f'height="{top + _BAND - _y(value, top, most):.1f}" fill="{colour}" opacity="0.35"/>'
        for place, value in zip(x, values, strict=True)
        if value
    ]


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
    )
