"""A listener rule's conditions as HAProxy's."""

from __future__ import annotations

import re

from .view import Condition

# What is matched, and the flags: AWS ignores the case everywhere but in paths.
_SAMPLES = {
    "host-header": ("var(txn.host)", "-i -m reg"),
    "path-pattern": ("path", "-m reg"),
    "query-string": ("query", "-i -m reg"),
}


def condition(asked: Condition) -> str:
    """One condition in braces: any of its values suffices."""
    if asked.field == "http-request-method":
        return _braces("method", "", asked.values)
    if asked.field == "source-ip":
        return _braces("src", "", asked.values)
    if asked.field == "http-header":
        return _braces(f"req.fhdr({asked.header})", "-i -m reg", [f"^{pattern(value)}$" for value in asked.values])
    sample, flags = _SAMPLES[asked.field]
    if asked.field == "query-string":
        return _braces(sample, flags, [_parameter(value) for value in asked.values])
    return _braces(sample, flags, [f"^{pattern(value)}$" for value in asked.values])


def pattern(glob: str, anything: str = ".") -> str:
    """A pattern with ``*`` and ``?`` as a regular expression; ``anything`` is what one character may be."""
    return "".join({"*": f"{anything}*", "?": anything}.get(each) or re.escape(each) for each in glob)


def quoted(text: str) -> str:
    """One word of HAProxy's configuration that means exactly this text."""
    return "'" + text.replace("'", "'\\''") + "'"


def _parameter(value: str) -> str:
    key, equals, wanted = value.partition("=")
    if equals:
        return f"(^|&){pattern(key, '[^&=]')}={pattern(wanted, '[^&]')}(&|$)"
    return f"(^|&)([^&=]*=)?{pattern(key, '[^&]')}(&|$)"


def _braces(sample: str, flags: str, values: list[str] | tuple[str, ...]) -> str:
    return " ".join(("{", sample, *([flags] if flags else []), *map(quoted, values), "}"))
