"""Every command that a document shows: lines of shell blocks, steps of a pipeline, text in backticks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.unit.docs.test_docs import DOCUMENTS, FENCE, SPAN, relative

PROGRAMS = (
    "ansible-playbook", "aws", "docker", "eval", "export", "journalctl", "make", "molecule", "ollama", "ollama-gpu",
    "terraform",
)  # fmt: skip
ASSIGNED = re.compile(r"[A-Z][A-Z_]*=\S+")
BLOCK = re.compile(r"^ *```(?P<language>sh|yaml)\n(?P<body>.*?)^ *```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """One simple command: ``variables`` precede it, as in ``A=1 make test``; ``document`` shows it first."""

    text: str
    document: str

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(word.split("=", 1)[0] for word in self._assigned())

    @property
    def words(self) -> list[str]:
        """The command without `sudo`, the program's folder and redirections."""
        rest = _split(self.text.split(" < FILE")[0])[len(self._assigned()) :]
        if rest[:1] == ["sudo"]:
            rest = rest[1:]
        return [Path(rest[0]).name, *rest[1:]] if rest else []

    @property
    def program(self) -> str:
        return self.words[0]

    def _assigned(self) -> list[str]:
        found = []
        for word in _split(self.text):
            if not ASSIGNED.fullmatch(word):
                break
            found.append(word)
        return found


def _split(text: str) -> list[str]:
    """Split like the shell; at spaces if the line has quotes of another language."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


@cache
def shown() -> tuple[Command, ...]:
    """Every command once, in the order of the documents."""
    found: dict[str, Command] = {}
    for document in DOCUMENTS:
        for text in (*in_blocks(document), *in_lines(document)):
            found.setdefault(text, Command(text, relative(document)))
    return tuple(found.values())


def in_blocks(document: Path) -> Iterator[str]:
    for block in BLOCK.finditer(document.read_text()):
        lines = block["body"].splitlines()
        if block["language"] == "yaml":
            lines = [found[1] for line in lines if (found := re.match(r" *(?:- )?run: (.+)", line))]
        for line in lines:
            yield from simple(line.split(" #")[0].strip())


def in_lines(document: Path) -> Iterator[str]:
    """Spans that begin with a program's name and have arguments."""
    for long, short in SPAN.findall(re.sub(r"\s*\n\s*", " ", FENCE.sub("", document.read_text()))):
        words = " ".join((long or short).split())
        bare = Command(words, "").words
        if len(bare) > 1 and bare[0] in PROGRAMS and "VERB" not in bare:
            yield from simple(words)


def simple(line: str) -> Iterator[str]:
    """The commands of a line, with values in place of ``<placeholders>``."""
    for part in filter(None, line.split(" && ")):
        within = re.fullmatch(r'eval "\$\((.+)\)"', part)
        text = within[1] if within else part
        text = re.sub(r"<(env|environment)>", "prod", text)
        yield re.sub(r"<[a-z][^<>]*>", "x1", text)
