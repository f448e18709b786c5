"""HAProxy's form of a listener rule's conditions."""

from __future__ import annotations

import re

from ollama_gpu.core.errors import UserError

from .view import Condition

# HAProxy's sample and flags of each field that the fabric uses. AWS ignores case everywhere except in paths.
_SAMPLES = {
    "host-header": ("var(txn.host)", "-i -m reg"),
    "http-header": ("req.fhdr({header})", "-i -m reg"),
    "path-pattern": ("path", "-m reg"),
}


def condition(wanted: Condition) -> str:
    """Return a condition in braces, which any of its values fulfills. Raises UserError for an unsupported field."""
    if wanted.field not in _SAMPLES:
        raise UserError(
            f"The lab's front door does not support rules with the condition {wanted.field}.",
            f"Use {', '.join(sorted(_SAMPLES))}.",
        )
    sample, flags = _SAMPLES[wanted.field]
    values = (quoted(f"^{pattern(value)}$") for value in wanted.values)
    return " ".join(("{", sample.format(header=wanted.header), flags, *values, "}"))


def pattern(glob: str) -> str:
    """Return a pattern with ``*`` and ``?`` as a regular expression."""
    return "".join({"*": ".*", "?": "."}.get(each) or re.escape(each) for each in glob)


def quoted(text: str) -> str:
    """Return the text as one literal word of HAProxy's configuration."""
    return "'" + text.replace("'", "'\\''") + "'"
