"""Compares two releases: their records, and the files of their Terraform trees."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ollama_gpu.environment.context import Context
from ollama_gpu.releases import archive, records
from ollama_gpu.releases.records import Record

_FACTS = ("release", "image", "open_webui", "collection_sha256", "templates", "models", "instance")


def compare(context: Context, first: int, second: int) -> dict[str, Any]:
    """Compare two releases. ``facts`` has values as [first, second], ``files`` a unified diff of each changed file."""
    one, other = records.read(context, first), records.read(context, second)
    return {
        "first": first,
        "second": second,
        "facts": facts(one, other),
        "files": diffs(
            archive.texts(archive.fetch(context, one.archive_sha256)),
            archive.texts(archive.fetch(context, other.archive_sha256)),
        ),
    }


def facts(one: Record, other: Record) -> dict[str, list[Any]]:
    """Return the fields in which two records differ. Maps are compared by entry."""
    found: dict[str, list[Any]] = {}
    for name in _FACTS:
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, dict) or isinstance(b, dict):
            a, b = a or {}, b or {}
            for key in sorted({*a, *b}):
                if a.get(key) != b.get(key):
                    found[f"{name}.{key}"] = [a.get(key), b.get(key)]
        elif a != b:
            found[name] = [a, b]
    return found


def diffs(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, list[str]]:
    """Return a unified diff of each changed file, by path."""
    return {
        path: list(
            difflib.unified_diff(
                one.get(path, "").splitlines(), other.get(path, "").splitlines(), path, path, lineterm="", n=1
            )
        )
        for path in sorted({*one, *other})
        if one.get(path) != other.get(path)
    }


def lines(compared: dict[str, Any]) -> list[str]:
    """Format a comparison as text."""
    text = [f"{name}: {one} -> {other}" for name, (one, other) in compared["facts"].items()]
    text += [line for lines in compared["files"].values() for line in lines]
    return text or [f"Releases {compared['first']} and {compared['second']} are identical."]
