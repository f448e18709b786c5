"""The journal in the form of the agent's journald receiver: every field of an entry, under "body"."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from .configuration import JournalSource
from .outbox import Event


def follow(source: JournalSource, origin: str, cursor: str | None) -> Iterator[Event]:
    """Yield new entries, starting after ``cursor`` or now. Raises OSError when journalctl ends."""
    where = f"--after-cursor={cursor}" if cursor else "--lines=0"
    command = ["journalctl", "--utc", "--output=json", "--follow", "--no-pager", f"--priority={source.priority}", where]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as running:
        error = ""
        for line in running.stdout or ():
            if line.startswith("{"):
                found = event(line, source, origin)
                if found is not None:
                    yield found
            else:
                error = line.strip()
    raise OSError(f"journalctl ended with status {running.returncode}: {error}")


def event(line: str, source: JournalSource, origin: str) -> Event | None:
    """Return the log event for a line of `journalctl --output=json`, None if a filter excludes it."""
    entry = json.loads(line)
    microseconds, cursor = int(entry.pop("__REALTIME_TIMESTAMP")), str(entry["__CURSOR"])
    if isinstance(entry.get("MESSAGE"), list):  # the journal's form of text that is not UTF-8
        entry["MESSAGE"] = bytes(entry["MESSAGE"]).decode(errors="replace")
    body = json.dumps(entry, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    if any(expression.search(body) for expression in source.excluded):
        return None
    return Event(source.destination, microseconds // 1000, f'{{"body":{body}}}', origin, cursor)
