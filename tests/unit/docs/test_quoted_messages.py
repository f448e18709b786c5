"""Messages that docs/troubleshooting.md quotes exist in the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "troubleshooting.md"
SOURCES = [*(ROOT / "scripts" / "ollama_gpu").rglob("*.py"), *(ROOT / "terraform").rglob("*.tf")]

_QUOTE = re.compile(r"^- `([^`]+)`", re.MULTILINE)
_EXAMPLES = ("prod", "terraform apply", "8443", "127.0.0.1")
"""Words of a quoted message that the program fills in."""


def fragments(message: str) -> list[str]:
    """The parts of a quoted message that are literal in the program."""
    parts = re.split("|".join([r"\.\.\.", *map(re.escape, _EXAMPLES)]), message)
    return [part.strip(" .:=") for part in parts if len(part.strip(" .:=")) > 3]


def text() -> str:
    """The sources with adjacent string literals joined, as a message is often written over two lines."""
    joined = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES)
    return re.sub(r"\"\s*\n\s*f?\"", "", joined)


@pytest.mark.parametrize("message", _QUOTE.findall(PAGE.read_text(encoding="utf-8")))
def test_quoted_message_exists(message: str) -> None:
    program = text()
    assert [part for part in fragments(message) if part not in program] == []


def test_page_quotes_messages() -> None:
    assert len(_QUOTE.findall(PAGE.read_text(encoding="utf-8"))) >= 8
