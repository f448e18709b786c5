"""Refuse phrases that the project's style does not use, and name what to write instead.

Reads every tracked text file, or the files given as arguments: of Python the comments and strings, of other files
everything. Prints ``file:line: "phrase": write ...`` and exits with 1 if it finds any. Uses the standard library only.
A line that ends with ``language: allow`` is exempt.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]

RULES = (
    (r"rings?(?! buffer)|rang|rung", "fires, or: is in ALARM"),
    (r"in vain", "without success, or: timed out waiting for"),
    (r"turn(?:s|ed|ing)? (?:it |them |(?:a|the) \w+ )?round", "roll back"),
    (r"(?:take[sn]?|taking|took) (?:it |them |(?:a|the) \w+ )?back", "roll back, or: reclaim"),
    (r"well again", "recovered"),
    (r"anew", "again, or: rebuilt"),
    (
        r"(?<!there\s)is no (?:valid )?(?:time span|duration|name|type|number|address|digest|version)",
        "is not a valid ...",
    ),
    (r"(?:a|the) letter (?:about|from|to|of|that)|AWS'?s? letters|send(?:s|ing)? (?:a|the) letter", "an e-mail"),
    (r"dearer", "costs more, or: exceeds the budget"),
    (r"who(?:m)?ever", "name the client, the caller, the instance or the user"),
    (r"nobody(?![:\"'`/])|somebody", "name the user or the program: no instance, no client, another run"),
    (r"that is the truth", "this is expected"),
    (r"thereof", "name the thing"),
    (r"for (?:it|there|they) (?:is|are|was|were|has|have)", "because ..."),
    (r"(?:leads?|led) back to", "name the state, such as RollbackSuccessful"),
    (r"has gone through", "name the state, such as Successful"),
    (r"stands? in (?:the|its|an?)(?!\sway)|(?:lies|lie|lay) (?:in|wholly|beside)", "is in"),
    (r"things? to put right", "problem, or: what to fix"),
    (r"for good(?! (?:reason|measure|practice))", "permanently"),
    (r"in good order", "cleanly, or: in order"),
    (r"mend(?:s|ed|ing)?", "fix"),
)
"""Regular expressions of phrases (a space also matches a line break with a comment sign) and what to write instead."""

SUFFIXES = {".py", ".md", ".tf", ".tfvars", ".hcl", ".yml", ".yaml", ".j2", ".sh", ".tftpl", ".toml"}
NAMES = {"Makefile", "Dockerfile", ".editorconfig"}
EXEMPT = {
    "scripts/check_language.py",
    "tests/unit/repository/test_check_language.py",
    "docs/requirements.md",  # the specification, as given
}
ALLOWED = "language: allow"


@dataclass(frozen=True)
class Finding:
    file: str
    line: int
    phrase: str
    instead: str

    def __str__(self) -> str:
        return f'{self.file}:{self.line}: "{self.phrase}": write {self.instead}'


def main(arguments: Sequence[str]) -> int:
    files = list(arguments) or tracked(ROOT)
    findings = [each for name in files for each in check(name, (ROOT / name).read_text(errors="replace"))]
    for each in findings:
        print(each)
    if findings:
        print(f"{len(findings)} phrases in {len({each.file for each in findings})} files. See CONTRIBUTING.md, Style.")
    return 1 if findings else 0


def check(name: str, text: str) -> list[Finding]:
    """Findings of one file, in the order of lines."""
    lines = text.splitlines()
    text = prose_of_python(text) if name.endswith(".py") else text
    found = []
    for pattern, instead in PATTERNS:
        for match in pattern.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            if not lines[number - 1].rstrip().endswith(ALLOWED):
                found.append(Finding(name, number, " ".join(match[0].split()), instead))
    return sorted(found, key=lambda each: each.line)


def prose_of_python(code: str) -> str:
    """The code with everything but comments and strings replaced by spaces; the line breaks stay."""
    kept = [[" "] * len(line) for line in code.splitlines()]
    lines = code.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT or tokenize.tok_name[token.type].startswith(("STRING", "FSTRING_MIDDLE")):
            (first, start), (last, end) = token.start, token.end
            for row in range(first, last + 1):
                span = slice(start if row == first else 0, end if row == last else len(lines[row - 1]))
                kept[row - 1][span] = lines[row - 1][span]
    return "\n".join("".join(line) for line in kept)


def tracked(root: Path) -> list[str]:
    """Tracked text files: by suffix or name, and programs without a suffix in a role's files."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    return [name for name in filter(None, listed.split("\0")) if is_text(name) and (root / name).is_file()]


def is_text(name: str) -> bool:
    path = PurePosixPath(name)
    program = "roles" in path.parts and "files" in path.parts and not path.suffix
    return name not in EXEMPT and (path.suffix in SUFFIXES or path.name in NAMES or program)


def _compiled() -> Iterator[tuple[re.Pattern[str], str]]:
    # Not within an identifier, an option or a JSON key: no letter, digit, underscore, hyphen or dot next to it.
    for phrase, instead in RULES:
        spaced = phrase.replace(" ", r"(?:[ \t]+|[ \t]*\n[ \t]*(?:(?:#|//|>|-)[ \t]+)?)")
        yield re.compile(rf"(?<![\w.$-])(?:{spaced})(?![\w-]|\.\w|\()", re.IGNORECASE), instead


PATTERNS = tuple(_compiled())

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
