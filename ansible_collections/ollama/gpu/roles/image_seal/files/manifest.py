"""Print the versions and digests of everything on a host as JSON, to identify an image later.

    manifest.py [--existing FILE]

When the container engine does not run, the container images are copied from the existing manifest.
Python 3.9+, standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 30
MODELS = Path("/var/lib/ollama/models")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--existing", type=Path, default=Path("/nonexistent"))
    options = parser.parse_args(arguments)
    images = container_images()
    if images is None:
        images = existing(options.existing).get("container_images", {})
    manifest = {
        "versions": versions(),
        "container_images": images,
        "models": models(MODELS),
        "packages": packages(),
    }
    print(json.dumps(manifest, indent=2, sort_keys=True))
    return 0


def versions() -> dict[str, str | None]:
    """Return the versions of the main components by name. None if a component is not installed."""
    return {
        "operating_system": os_release().get("PRETTY_NAME"),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "nvidia_driver": module_version("nvidia") or module_version("nvidia-current"),  # the second is Debian's name
        "cuda": cuda(),
        "container_toolkit": version(["nvidia-ctk", "--version"]),
        "docker": version(["dockerd", "--version"]),
        "ollama": version(["ollama", "--version"], r"version is (\S+)"),
        "haproxy": version(["haproxy", "-v"]),
        "cloudwatch_agent": agent(),
        "ansible_core": version(["ansible", "--version"]),
        "python": platform.python_version(),
    }


def container_images() -> dict[str, str] | None:
    """Return the image IDs by name and digest, or None if no engine answers."""
    listed = output(["docker", "image", "ls", "--digests", "--no-trunc", "--format", "{{json .}}"])
    if listed is None:
        return None
    found = {}
    for image in map(json.loads, listed.splitlines()):
        pinned = image["Digest"] not in ("", "<none>")
        found[image["Repository"] + ("@" + image["Digest"] if pinned else ":" + image["Tag"])] = image["ID"]
    return found


def models(store: Path) -> dict[str, str]:
    """Return the digest of each model's manifest by name, from a store in Ollama's layout."""
    return {
        f"{path.parent.name}:{path.name}": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(store.glob("manifests/*/*/*/*"))
    }


def packages() -> dict[str, str]:
    """Return the versions of all installed system packages by name."""
    listed = output(["dpkg-query", "--show", "--showformat", "${binary:Package} ${Version} ${db:Status-Abbrev}\n"])
    if listed is None:
        listed = output(["rpm", "-qa", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE} ii\n"]) or ""
    rows = (line.split() for line in listed.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2].endswith("i")}


def cuda() -> str | None:
    try:
        return str(json.loads(Path("/usr/local/cuda/version.json").read_text())["cuda"]["version"])
    except (OSError, ValueError, KeyError):
        return None


def agent() -> str | None:
    try:
        return Path("/opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION").read_text().strip()
    except OSError:
        return None


def version(command: list[str], pattern: str = r"(\d+\.\d+[^\s,\]]*)") -> str | None:
    """Return the first version in a program's output, or None if the program does not exist."""
    said = output(command)
    found = re.search(pattern, said) if said else None
    return found.group(1) if found else None


def module_version(module: str) -> str | None:
    """Return the version of a kernel module for the running kernel."""
    said = output(["modinfo", "-F", "version", module])
    return said.splitlines()[0].strip() if said and said.strip() else None


def output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def os_release() -> dict[str, str]:
    pairs = (line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return {key: value.strip('"') for key, value in pairs}


def existing(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
