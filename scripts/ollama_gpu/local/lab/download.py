"""Downloads files whose SHA-256 is known beforehand."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.side_by_side import Cancelled, cancelled
from ollama_gpu.terraform.progress import ProgressView

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 60.0  # without any byte
TRIES = 3


def fetch(url: str, digest: str, target: Path, view: ProgressView, accept: str = "*/*") -> None:
    """Write the content of ``url`` to ``target``. Tries again after a broken connection.

    Raises UserError if it cannot be read, or if its SHA-256 is not ``digest`` (hexadecimal); then there is no file.
    """
    for attempt in range(1, TRIES + 1):
        try:
            found = _fetch(url, target, view, accept)
            break
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            target.unlink(missing_ok=True)
            if attempt == TRIES:
                raise UserError(
                    f"{url} could not be downloaded: {error}.", "Check the network, then run the command again."
                ) from error
    if found != digest:
        target.unlink()
        raise UserError(
            f"{url} has the SHA-256 {found}, not {digest}. It was not used.",
            "A proxy may have changed it, or the site has another file now. Report it if it stays.",
        )


def _fetch(url: str, target: Path, view: ProgressView, accept: str) -> str:
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 - the caller's address
    digest, done = hashlib.sha256(), 0
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer, target.open("wb") as file:  # noqa: S310
        total = int(answer.headers.get("Content-Length") or 0)
        while chunk := answer.read(_CHUNK):
            if cancelled():
                raise Cancelled(f"The download of {url}")
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            view.detail(f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{done / 1e6:.0f} MB")
            view.tick()
    if total and done != total:
        raise http.client.IncompleteRead(b"", total - done)
    return digest.hexdigest()
