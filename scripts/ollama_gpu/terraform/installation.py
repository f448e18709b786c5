"""Find Terraform and provider mirrors, and prepare Terraform's environment variables."""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ollama_gpu.core.errors import UserError

log = logging.getLogger(__name__)

# 1.10 adds the S3 lock file. 1.11 adds write-only arguments, without which passwords would be in the state.
MINIMUM_VERSION = (1, 11)
MIRROR_VARIABLE = "OLLAMA_GPU_PROVIDER_MIRROR"
CONFIG_VARIABLE = "TF_CLI_CONFIG_FILE"

# The path of the required provider in a mirror, below the registry host's folder.
_PROVIDER = Path("hashicorp") / "aws"
_SEARCHED = (Path("/opt"), Path("/srv"), Path("/usr/local"))
_DEPTH = 4
_SEARCHED_FOLDERS = 2000  # a count, not a time: the result must not depend on the machine's load
# Variables in the user's shell that would silently change the run: extra arguments, a different state, values of
# variables that are not in the environment's file.
_FOREIGN = re.compile(r"TF_(CLI_ARGS(_\w+)?|WORKSPACE|DATA_DIR|INPUT|VAR_\w+)")


@dataclass(frozen=True)
class Version:
    """The version of Terraform, and the provider versions that the lock file selects."""

    terraform: str
    providers: Mapping[str, str] = field(default_factory=dict)
    executable: Path = Path("terraform")

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", self.terraform.partition("-")[0]))


def find_terraform(executable: str = "terraform", search_path: str | None = None) -> Path:
    """The absolute path of the program. Raises UserError with the searched folders if it is not found."""
    searched = search_path if search_path is not None else os.environ.get("PATH", os.defpath)
    found = shutil.which(executable, path=searched)
    if found is None:
        where = f"at {executable}" if os.sep in executable else f"in PATH ({searched})"
        raise UserError(
            f"Terraform was not found {where}.",
            f"Install Terraform {_minimum()} or newer and put it on PATH.",
        )
    return Path(found).absolute()


def read_version(document: str | bytes, executable: Path) -> Version:
    """The version in the output of `terraform version -json`. Raises UserError if it is older than the minimum."""
    found = json.loads(document)
    version = Version(found.get("terraform_version", ""), found.get("provider_selections") or {}, executable)
    check_version(version)
    return version


def check_version(version: Version) -> None:
    """Raise UserError if Terraform is older than the minimum version."""
    if version.numbers < MINIMUM_VERSION:
        raise UserError(
            f"Terraform {version.terraform} ({version.executable}) is too old: {_minimum()} or newer is required.",
            f"Install Terraform {_minimum()} or newer and put it first on PATH.",
        )


def _minimum() -> str:
    return ".".join(str(number) for number in MINIMUM_VERSION)


def clean_environment(inherited: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The shell's environment without variables that would silently change the run, and their names.

    A TF_CLI_CONFIG_FILE that does not exist is removed too (Terraform would warn and ignore it).
    """
    ignored = sorted(name for name in inherited if _FOREIGN.fullmatch(name))
    kept = {name: value for name, value in inherited.items() if name not in ignored}
    config = kept.get(CONFIG_VARIABLE)
    if config is not None and not Path(config).is_file():
        del kept[CONFIG_VARIABLE]
    return kept, ignored


@dataclass(frozen=True)
class ProviderMirrors:
    """The source of the providers, and the variables that Terraform needs to use it."""

    source: Literal["variable", "configured", "implied", "found", "none"]
    explanation: str
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def find_provider_mirrors(
    work: Path,
    environment: Mapping[str, str],
    home: Path | None = None,
    roots: Sequence[Path] = _SEARCHED,
) -> ProviderMirrors:
    """Choose the source of the providers. Searches at most 2000 folders (tens of milliseconds).

    In this order: the folder in OLLAMA_GPU_PROVIDER_MIRROR (this project's setting); Terraform's CLI configuration,
    which stays unchanged; Terraform's implied local mirrors; a bounded search. Raises UserError if the folder in the
    variable does not contain the provider.
    """
    chosen = _choose(work, environment, home if home is not None else Path.home(), roots)
    log.info("providers: %s", chosen.explanation)
    return chosen


def _choose(work: Path, environment: Mapping[str, str], home: Path, roots: Sequence[Path]) -> ProviderMirrors:
    named = environment.get(MIRROR_VARIABLE)
    if named:
        folder = Path(named).expanduser().absolute()
        if not _mirrored(folder):
            raise UserError(
                f"{MIRROR_VARIABLE} is set to {folder}, which contains no {_PROVIDER} provider for {_target()}.",
                f"Set it to the folder that contains HOST/{_PROVIDER}, as `terraform providers mirror` creates it.",
                status=2,
            )
        return _configure(work, folder, "variable", f"from {folder} ({MIRROR_VARIABLE})")
    config = _existing_configuration(environment, home)
    if config is not None:
        return ProviderMirrors("configured", f"as configured in {config}")
    for folder in _implied_folders(environment, home):
        if _mirrored(folder):
            return ProviderMirrors("implied", f"from {folder}, an implied local mirror", folder)
    found, complete = _search(roots)
    if found is not None:
        return _configure(work, found, "found", f"from the mirror found in {found}")
    places = ", ".join(str(root) for root in roots)
    extent = "" if complete else f" (stopped after {_SEARCHED_FOLDERS} folders)"
    return ProviderMirrors("none", f"from the registry: no mirror in {places}{extent}")


def _existing_configuration(environment: Mapping[str, str], home: Path) -> Path | None:
    """The CLI configuration that Terraform would load: the file in the variable, else the one in the home folder."""
    for candidate in (environment.get(CONFIG_VARIABLE), home / ".terraformrc"):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    return None


def _implied_folders(environment: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Terraform's implied local mirrors on Unix, in Terraform's order."""
    yield home / ".terraform.d" / "plugins"
    data = environment.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    shared = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for folder in (data, *shared.split(":")):
        if folder:
            yield Path(folder) / "terraform" / "plugins"


def _mirrored(folder: Path) -> list[str]:
    """The provider addresses in a mirror for this platform; empty if the required provider is not among them."""
    try:
        hosts = [host for host in sorted(folder.iterdir()) if "." in host.name and host.is_dir()]
        if not any(_holds(host / _PROVIDER) for host in hosts):
            return []
        addresses = (address for host in hosts for address in sorted(host.glob("*/*")))
        return [address.relative_to(folder).as_posix() for address in addresses if _holds(address)]
    except OSError:
        return []


def _holds(provider: Path) -> bool:
    """Whether a provider's folder has a release for this platform, unpacked or as a zip file."""
    target = _target()
    if not provider.is_dir():
        return False
    return any(provider.glob(f"*/{target}")) or any(provider.glob(f"*_{target}.zip"))


def _target() -> str:
    machine = platform.machine().lower()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{sys.platform}_{architecture}"


def _search(roots: Iterable[Path]) -> tuple[Path | None, bool]:
    """The first mirror in or below the roots, nearest first, and whether the search was complete."""
    seen = 0
    level = [root for root in roots if root.is_dir()]
    for _ in range(_DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            seen += 1
            if seen > _SEARCHED_FOLDERS:
                return None, False
            try:
                with os.scandir(folder) as entries:
                    names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            except OSError:
                continue
            hosts = (name for name in names if "." in name)
            if any((folder / host / _PROVIDER).is_dir() for host in hosts) and _mirrored(folder):
                return folder, True
            below += [folder / name for name in names if not name.startswith(".")]
        level = below
    return None, True


def _configure(work: Path, folder: Path, source: Literal["variable", "found"], explanation: str) -> ProviderMirrors:
    """Write a CLI configuration that installs the mirror's providers from it and only the others directly.

    `direct` needs the exclusion: Terraform asks every source that may have a provider for its versions and fails if
    one is not reachable. An unreachable registry would fail an init for which the mirror has every provider, or hang
    it behind a firewall that drops packets.
    """
    mirrored = json.dumps(_mirrored(folder))
    path = work / "terraform.rc"
    text = (
        "# Written by ollama-gpu. To replace it, set TF_CLI_CONFIG_FILE or create ~/.terraformrc.\n"
        "provider_installation {\n"
        f"  filesystem_mirror {{\n    path    = {json.dumps(str(folder))}\n    include = {mirrored}\n  }}\n"
        f"  direct {{\n    exclude = {mirrored}\n  }}\n"
        "}\n"
    )
    try:
        if not path.is_file() or path.read_text() != text:
            work.mkdir(parents=True, exist_ok=True)
            # Replace the file atomically: Terraform for another environment may be reading it.
            fresh = path.with_name(f"{path.name}.{os.getpid()}")
            fresh.write_text(text)
            fresh.replace(path)
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror}.",
            "Make the folder writable, or set OLLAMA_GPU_WORK to another folder.",
        ) from error
    return ProviderMirrors(source, explanation, folder, {CONFIG_VARIABLE: str(path)})
