"""What this machine needs to reach Debian and PyPI, for the inside of images and builds that need the same.

A company's machine has a certificate authority of its own, a proxy, a mirror of Debian: an image that knows nothing of
them could not install a single package.
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

# How to reach a mirror, and whether this machine's clock is to be believed; nothing else of apt's settings.
_APT_OPTION = re.compile(r'^(Acquire::(?:https?::\S+|Check-\S+|Retries|ForceIPv[46])) "(.+)";$')
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT")
_GO = ("GOPROXY", "GOFLAGS", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOVCS")


@dataclass(frozen=True)
class HostSettings:
    """``certificates`` by file name; ``apt`` by option; ``debian`` and ``security`` are the mirrors to use.

    Both are None on a machine that is no Debian or has no mirror for one of them: mmdebstrap then takes its own.
    """

    certificates: Mapping[str, bytes]
    apt: Mapping[str, str]
    debian: str | None
    security: str | None
    environment: Mapping[str, str]

    def inputs(self) -> tuple[object, ...]:
        """What of this ends up inside an image, and so in its key."""
        return (dict(self.certificates), dict(self.apt), self.debian, self.security)

    def sources(self, suite: str, components: str = "main") -> list[str]:
        """apt's lines for a Debian suite: the release, its updates and its security fixes; none without mirrors."""
        if self.debian is None or self.security is None:
            return []
        return [
            f"deb {self.debian} {suite} {components}",
            f"deb {self.debian} {suite}-updates {components}",
            f"deb {self.security} {suite}-security {components}",
        ]

    def proxies(self) -> dict[str, str]:
        """The proxy variables of this shell."""
        return self._chosen(_PROXIES)

    def pip(self) -> dict[str, str]:
        """Where pip is to look, as its own environment variables."""
        return self._chosen(_PIP)

    def build_arguments(self) -> dict[str, str]:
        """What a build inside a container is told, so that its pip and apt reach what this machine's do."""
        # A folder of this machine (PIP_FIND_LINKS may be one) does not exist inside a build.
        pip = {name: value for name, value in self.pip().items() if "FIND_LINKS" not in name or urlsplit(value).scheme}
        return pip | self.proxies()

    def authorities(self) -> str:
        """The certificates of this machine's own authorities, PEM, one after the other."""
        return "".join(content.decode().rstrip("\n") + "\n" for _, content in sorted(self.certificates.items()))

    def go(self) -> dict[str, str]:
        """Where Go is to look for modules, as its own environment variables."""
        return self._chosen(_GO)

    def write_certificates(self, folder: Path) -> None:
        """Put the certificates of this machine's own authorities into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.certificates.items():
            (folder / name).write_bytes(content)

    def _chosen(self, names: Iterable[str]) -> dict[str, str]:
        return {name: self.environment[name] for name in names if self.environment.get(name)}


def read() -> HostSettings:
    """The settings of this machine."""
    debian, security = mirrors(_asked("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"), _is_debian())
    return HostSettings(
        certificates={path.name: path.read_bytes() for path in sorted(CERTIFICATES.rglob("*.crt"))},
        apt=apt_options(_asked("apt-config", "dump")),
        debian=debian,
        security=security,
        environment=os.environ,
    )


def apt_options(dump: str) -> dict[str, str]:
    """The options of ``apt-config dump`` that decide whether a mirror can be reached and believed."""
    return {match[1]: match[2] for line in dump.splitlines() if (match := _APT_OPTION.match(line))}


def mirrors(targets: str, debian: bool) -> tuple[str | None, str | None]:
    """The mirrors of Debian and of its security fixes that this machine uses.

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
