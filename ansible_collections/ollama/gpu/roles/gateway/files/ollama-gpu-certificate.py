#!/usr/bin/env python3
"""Create the front door's self-signed certificate, or renew it before it expires. Prints "made" or "kept".

Each host creates its own certificate, which is never part of an image. The load balancer encrypts to the certificate
and does not verify it.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

RENEW_BEFORE_DAYS = 30


def still_good(path: Path) -> bool:
    """Return whether the file has a private key and a certificate that is valid for RENEW_BEFORE_DAYS or longer."""
    if not path.exists():
        return False
    seconds = str(RENEW_BEFORE_DAYS * 86400)
    in_time = subprocess.run(
        ["openssl", "x509", "-in", str(path), "-noout", "-checkend", seconds], capture_output=True, check=False
    )
    key = subprocess.run(["openssl", "pkey", "-in", str(path), "-noout"], capture_output=True, check=False)
    return in_time.returncode == 0 and key.returncode == 0


def make(path: Path, days: int, name: str) -> None:
    """Write key and certificate to one file that only root can read. Replaces the old file atomically."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
        key, certificate, both = (Path(folder) / part for part in ("key", "certificate", "both"))
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", str(days), "-subj", f"/CN={name[:64]}", "-addext", f"subjectAltName=DNS:{name}"]
        command += ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, capture_output=True, check=True, text=True)
        with os.fdopen(os.open(both, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(certificate.read_text(encoding="ascii") + key.read_text(encoding="ascii"))
        both.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--days", type=int, default=825)
    parser.add_argument("--reload", metavar="UNIT", help="reload this systemd unit after a renewal")
    options = parser.parse_args()
    os.umask(0o077)
    if still_good(options.path):
        print("kept")
        return 0
    try:
        make(options.path, options.days, socket.gethostname())
    except subprocess.CalledProcessError as error:
        print(f"openssl could not create {options.path}: {error.stderr.strip()}", file=sys.stderr)
        return 1
    print("made")
    if options.reload:
        # --no-block: at boot, the unit to reload waits for this program
        subprocess.run(["systemctl", "--no-block", "try-reload-or-restart", options.reload], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
