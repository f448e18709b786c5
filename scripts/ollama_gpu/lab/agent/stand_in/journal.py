"""The journal, as the agent's journald receiver sends it: every field of an entry, under "body"."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from .configuration import JournalSource
from .outbox import Event


def follow(source: JournalSource, origin: str, cursor: str | None) -> Iterator[Event]:
    """Entries as they come: after ``cursor``, or from now on. Raises OSError when journalctl ends."""
    where = f"--after-cursor={cursor}" if cursor else "--lines=0"
    command = ["journalctl", "--utc", "--output=json", "--follow", "--no-pager", f"--priority={source.priority}", where]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as running:
        said = ""
        for line in running.stdout or ():
            if line.startswith("{"):
                found = event(line, source, origin)
                if found is not None:
                    yield found
            else:
                said = line.strip()
    raise OSError(f"journalctl ended with status {running.returncode}: {said}")


def event(line: str, source: JournalSource, origin: str) -> Event | None:
    """A line of `journalctl --output=json` as the log event that it becomes, None for one that is filtered out."""
    entry = json.loads(line)
    microseconds, cursor = int(entry.pop("__REALTIME_TIMESTAMP")), str(entry["__CURSOR"])
    if isinstance(entry.get("MESSAGE"), list):  # how the journal writes what is no UTF-8
        entry["MESSAGE"] = bytes(entry["MESSAGE"]).decode(errors="replace")
    body = json.dumps(entry, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    if any(expression.search(body) for expression in source.excluded):
        return None
    return Event(source.destination, microseconds // 1000, f'{{"body":{body}}}', origin, cursor)
