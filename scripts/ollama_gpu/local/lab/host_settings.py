"""This machine's settings for access to Debian and PyPI, which images and builds need, too.

A company's machine may have a private certificate authority, a proxy and a Debian mirror. Without these settings, an
image could not install any package.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CERTIFICATES = Path("/usr/local/share/ca-certificates")

# apt's settings for access to a mirror and for checks by this machine's clock; no others.
_APT_OPTION = re.compile(r'^(Acquire::(?:https?::\S+|Check-\S+|Retries|ForceIPv[46])) "(.+)";$')
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT")
_GO = ("GOPROXY", "GOFLAGS", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOVCS")


@dataclass(frozen=True)
class HostSettings:
    """``certificates`` by file name; ``apt`` by option; ``debian`` and ``security`` are the mirrors to use.

    Both mirrors are None when the machine does not run Debian or lacks one of them: mmdebstrap then uses its defaults.
    """

    certificates: Mapping[str, bytes]
    apt: Mapping[str, str]
    debian: str | None
    security: str | None
    environment: Mapping[str, str]

    def inputs(self) -> tuple[object, ...]:
        """Return the settings that are part of an image, and so of its key."""
        return (dict(self.certificates), dict(self.apt), self.debian, self.security)

    def sources(self, suite: str, components: str = "main") -> list[str]:
        """Return apt's source lines for a Debian suite with its updates and security fixes; none without mirrors."""
        if self.debian is None or self.security is None:
            return []
        return [
            f"deb {self.debian} {suite} {components}",
            f"deb {self.debian} {suite}-updates {components}",
            f"deb {self.security} {suite}-security {components}",
        ]

    def proxies(self) -> dict[str, str]:
        """Return the proxy variables of this shell."""
        return self._chosen(_PROXIES)

    def pip(self) -> dict[str, str]:
        """Return pip's environment variables for its package sources."""
        return self._chosen(_PIP)

    def build_arguments(self) -> dict[str, str]:
        """Return the arguments of a container build whose pip and apt use the same sources as this machine's."""
        # PIP_FIND_LINKS may be a folder of this machine, which does not exist inside a build.
        pip = {name: value for name, value in self.pip().items() if "FIND_LINKS" not in name or urlsplit(value).scheme}
        return pip | self.proxies()

    def authorities(self) -> str:
        """Return the certificates of this machine's private authorities, concatenated as PEM."""
        return "".join(content.decode().rstrip("\n") + "\n" for _, content in sorted(self.certificates.items()))

    def go(self) -> dict[str, str]:
        """Return Go's environment variables for its module sources."""
        return self._chosen(_GO)

    def write_certificates(self, folder: Path) -> None:
        """Write the certificates of this machine's private authorities into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.certificates.items():
            (folder / name).write_bytes(content)

    def _chosen(self, names: Iterable[str]) -> dict[str, str]:
        return {name: self.environment[name] for name in names if self.environment.get(name)}


def read() -> HostSettings:
    """Return the settings of this machine."""
    debian, security = mirrors(_asked("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"), _is_debian())
    return HostSettings(
        certificates={path.name: path.read_bytes() for path in sorted(CERTIFICATES.rglob("*.crt"))},
        apt=apt_options(_asked("apt-config", "dump")),
        debian=debian,
        security=security,
        environment=os.environ,
    )


def apt_options(dump: str) -> dict[str, str]:
    """Return the options of ``apt-config dump`` for access to mirrors and checks of their data."""
    return {match[1]: match[2] for line in dump.splitlines() if (match := _APT_OPTION.match(line))}


def mirrors(targets: str, debian: bool) -> tuple[str | None, str | None]:
    """Return this machine's mirrors of Debian and of its security fixes.

    ``targets`` has lines of site and release, as ``apt-get indextargets`` prints them.
    """
    main: str | None = None
    security: str | None = None
    if not debian:
        return None, None
    for line in reversed(targets.splitlines()):
        site, _, release = line.strip().rpartition(" ")
        if release.endswith("-security"):
            security = site
        elif re.fullmatch(r"[a-z]+", release) and site.endswith("/debian"):
            main = site
    return main, security


def _is_debian() -> bool:
    release = Path("/etc/os-release")
    return release.is_file() and "ID=debian" in release.read_text(encoding="utf-8").splitlines()


def _asked(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
