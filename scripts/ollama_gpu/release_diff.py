"""What differs between two releases: their facts, and the files of their Terraform trees line by line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ollama_gpu import release_archive, release_records
from ollama_gpu.context import Context
from ollama_gpu.release_records import Record

_FACTS = ("release", "image", "open_webui", "collection_sha256", "templates", "models", "instance")


def compare(context: Context, first: int, second: int) -> dict[str, Any]:
    """``facts``: what differs as [first, second]; ``files``: a unified diff of each file that differs."""
    one, other = release_records.read(context, first), release_records.read(context, second)
    return {
        "first": first,
        "second": second,
        "facts": facts(one, other),
        "files": diffs(
            release_archive.texts(release_archive.fetch(context, one.archive_sha256)),
            release_archive.texts(release_archive.fetch(context, other.archive_sha256)),
        ),
    }


def facts(one: Record, other: Record) -> dict[str, list[Any]]:
    """Each fact in which two records differ, maps entry by entry."""
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
    """The unified diff of each file that differs, by its path."""
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
    """The same for a person."""
    said = [f"{name}: {one} -> {other}" for name, (one, other) in compared["facts"].items()]
    said += [line for lines in compared["files"].values() for line in lines]
    return said or [f"Releases {compared['first']} and {compared['second']} bring the same."]
