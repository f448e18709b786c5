"""Find Terraform, the environment it runs in, and the provider mirror of a machine without internet."""

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

from ollama_gpu.errors import UserError

log = logging.getLogger(__name__)

# 1.10 has the S3 lock file, 1.11 write-only arguments: without them passwords would be in the state.
MINIMUM_VERSION = (1, 11)
MIRROR_VARIABLE = "OLLAMA_GPU_PROVIDER_MIRROR"
CONFIG_VARIABLE = "TF_CLI_CONFIG_FILE"

# The provider of the fabric, below whichever host's folder a mirror keeps it.
_PROVIDER = Path("hashicorp") / "aws"
_SEARCHED = (Path("/opt"), Path("/srv"), Path("/usr/local"))
_DEPTH = 4
_SEARCHED_FOLDERS = 2000  # a count and not a time: what a busy machine finds must not depend on its haste
# Settings from the person's shell that would change another project's run as well as ours, unseen: extra
# arguments, another state, variables that no environment's file holds.
_FOREIGN = re.compile(r"TF_(CLI_ARGS(_\w+)?|WORKSPACE|DATA_DIR|INPUT|VAR_\w+)")


@dataclass(frozen=True)
class Version:
    """A Terraform that was found, and the provider versions that its lock file selects."""

    terraform: str
    providers: Mapping[str, str] = field(default_factory=dict)
    executable: Path = Path("terraform")

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", self.terraform.partition("-")[0]))


def find_terraform(executable: str = "terraform", search_path: str | None = None) -> Path:
    """The program's absolute path. Raises UserError when there is none, naming where it looked."""
    looked = search_path if search_path is not None else os.environ.get("PATH", os.defpath)
    found = shutil.which(executable, path=looked)
    if found is None:
        where = executable if os.sep in executable else "any folder of PATH (" + looked + ")"
        raise UserError(
            f"Terraform was not found: looked for {where}.",
            f"Install Terraform {_minimum()} or newer and put it on PATH.",
        )
    return Path(found).absolute()


def check_version(version: Version) -> None:
    """Raises UserError when this Terraform is older than the fabric needs."""
    if version.numbers < MINIMUM_VERSION:
        raise UserError(
            f"Terraform {version.terraform} ({version.executable}) is too old: {_minimum()} is needed.",
            f"Install Terraform {_minimum()} or newer and put it first on PATH.",
        )


def _minimum() -> str:
    return ".".join(str(number) for number in MINIMUM_VERSION)


def clean_environment(inherited: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The shell's environment without what would silently steer Terraform, and the names left out.

    A TF_CLI_CONFIG_FILE that names no file is dropped too (Terraform would warn and go on without).
    """
    ignored = sorted(name for name in inherited if _FOREIGN.fullmatch(name))
    kept = {name: value for name, value in inherited.items() if name not in ignored}
    config = kept.get(CONFIG_VARIABLE)
    if config is not None and not Path(config).is_file():
        del kept[CONFIG_VARIABLE]
    return kept, ignored


@dataclass(frozen=True)
class ProviderMirrors:
    """Where providers will come from, and what to add to Terraform's environment for that."""

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
    """Decide once where providers come from; looks at 2000 folders at most (tens of milliseconds).

    In order: the folder that OLLAMA_GPU_PROVIDER_MIRROR names (the one setting made for this project);
    Terraform's own configuration, left alone; the folders that Terraform searches by itself; a bounded
    search. Raises UserError when the variable names a folder that is no mirror of the provider.
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
                f"{MIRROR_VARIABLE} names {folder}, which holds no {_PROVIDER} provider for {_target()}.",
                f"Name the folder above HOST/{_PROVIDER}, as `terraform providers mirror` makes it.",
                status=2,
            )
        return _configure(work, folder, "variable", f"from {folder}, which {MIRROR_VARIABLE} names")
    config = _existing_configuration(environment, home)
    if config is not None:
        return ProviderMirrors("configured", f"as {config} says")
    for folder in _implied_folders(environment, home):
        if _mirrored(folder):
            return ProviderMirrors("implied", f"from {folder}, where Terraform looks by itself", folder)
    found, complete = _search(roots)
    if found is not None:
        return _configure(work, found, "found", f"from the mirror found in {found}")
    places = ", ".join(str(root) for root in roots)
    extent = "" if complete else f" (stopped after {_SEARCHED_FOLDERS} folders)"
    return ProviderMirrors("none", f"from the registry: no mirror in {places}{extent}")


def _existing_configuration(environment: Mapping[str, str], home: Path) -> Path | None:
    """The configuration that Terraform itself would load: the variable replaces the home folder's."""
    for candidate in (environment.get(CONFIG_VARIABLE), home / ".terraformrc"):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    return None


def _implied_folders(environment: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Terraform's implied local mirrors on Unix, in its order."""
    yield home / ".terraform.d" / "plugins"
    data = environment.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    shared = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for folder in (data, *shared.split(":")):
        if folder:
            yield Path(folder) / "terraform" / "plugins"


def _mirrored(folder: Path) -> list[str]:
    """The provider addresses that a mirror holds for this platform; empty unless ours is among them."""
    try:
        hosts = [host for host in sorted(folder.iterdir()) if "." in host.name and host.is_dir()]
        if not any(_holds(host / _PROVIDER) for host in hosts):
            return []
        addresses = (address for host in hosts for address in sorted(host.glob("*/*")))
        return [address.relative_to(folder).as_posix() for address in addresses if _holds(address)]
    except OSError:
        return []


def _holds(provider: Path) -> bool:
    """Whether a provider's folder has a release for this platform, unpacked or as the zip."""
    target = _target()
    if not provider.is_dir():
        return False
    return any(provider.glob(f"*/{target}")) or any(provider.glob(f"*_{target}.zip"))


def _target() -> str:
    machine = platform.machine().lower()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{sys.platform}_{architecture}"


def _search(roots: Iterable[Path]) -> tuple[Path | None, bool]:
    """The first mirror in or below the roots, nearest first, and whether the search saw everything."""
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
    """Write the CLI configuration that takes from the mirror what it holds, and only the rest directly.

    `direct` needs the exclusion: Terraform asks every source that may serve a provider for its versions and
    fails when one cannot be reached, so an unreachable registry would fail (or, behind a firewall that drops
    packets, hang) an init for which the mirror has all that is needed.
    """
    held = json.dumps(_mirrored(folder))
    path = work / "terraform.rc"
    text = (
        "# Written by ollama-gpu. Your own TF_CLI_CONFIG_FILE or ~/.terraformrc takes its place.\n"
        "provider_installation {\n"
        f"  filesystem_mirror {{\n    path    = {json.dumps(str(folder))}\n    include = {held}\n  }}\n"
        f"  direct {{\n    exclude = {held}\n  }}\n"
        "}\n"
    )
    try:
        if not path.is_file() or path.read_text() != text:
            work.mkdir(parents=True, exist_ok=True)
            # Replaced in one step: a Terraform of another environment may be reading it.
            fresh = path.with_name(f"{path.name}.{os.getpid()}")
            fresh.write_text(text)
            fresh.replace(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}.",
            "Make the folder writable, or name another work folder: OLLAMA_GPU_WORK=/path make ...",
        ) from error
    return ProviderMirrors(source, explanation, folder, {CONFIG_VARIABLE: str(path)})
