"""Run what one runs before a commit: the linters, the unit tests and the tests of the embedded AWS.

    python -m tests.check [--since REVISION]

``--since`` adds what the paths need that differ from the revision: a role, a module's plan tests, a tier.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.role.__main__ import ROLES

ROOT = Path(__file__).resolve().parents[1]
ALWAYS = ("--quick", "static", "unit", "embedded")

TIERS = {
    "ansible_collections/|playbooks/|tests/ansible_sanity": "collection",
    "contract/|molecule/|tests/host/": "molecule",
    "playbooks/|scripts/ollama_gpu/bake/|tests/bake/|ansible_collections/ollama/gpu/roles/image_seal/": "bake",
    "scripts/ollama_gpu/local/lab/|tests/lab/|ansible_collections/ollama/gpu/roles/boot/": "lab",
    "scripts/ollama_gpu/(deploy|environment|fabric|releases|rollout|terraform)/|tests/fabric/": "fabric",
    "scripts/ollama_gpu/local/embedded_aws/|terraform/[^/]*$|terraform/environments/": "fabric",
    "terraform/.*[.]tf$|requirements-checkov": "security",
    "scripts/ollama_gpu/fabric/|terraform/|tests/fabric/": "account",
    "scripts/ollama_gpu/(backup|models|deploy)/|tests/serving/": "serving",
}
"""Paths, as the start of a regular expression, and the tier that they need besides the quick ones."""

COLLECTION = "ansible_collections/ollama/gpu"
OF_ROLE = rf"{COLLECTION}/(?:roles|extensions/molecule)/(\w+)/|tests/role/test_(\w+)[.]py$"
OF_EVERY_ROLE = f"{COLLECTION}/extensions/molecule/(?:shared/|config[.]yml$)|tests/role/(?:stages/|__main__[.]py$)"
SAMPLE = "gateway"
"""The role that stands for all when what they share has changed: a small one with a verify stage and refusals."""


@dataclass(frozen=True)
class Needs:
    """What changed paths need: roles, Terraform folders with plan tests, tiers; ``every``: the whole of `make test`."""

    roles: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    every: bool = False

    def commands(self) -> list[list[str]]:
        tiers = [sys.executable, "-m", "tests.tiers"]
        if self.every:
            return [tiers]
        planned = [[*tiers, *(f"--only={folder}" for folder in self.folders), "plan"]] if self.folders else []
        return [
            *(["make", "--no-print-directory", "role", f"ROLE={role}"] for role in self.roles),
            *planned,
            *([[*tiers, *self.tiers]] if self.tiers else []),
        ]


def needs(paths: Iterable[str]) -> Needs:
    """What these paths of the repository need."""
    paths = list(paths)
    if any(
        re.match(r"pyproject\.toml|requirements\.(lock|yml)|tests/(tiers|side_by_side)\.py", path) for path in paths
    ):
        return Needs(every=True)
    roles = {found[1] or found[2] for path in paths if (found := re.match(OF_ROLE, path))}.intersection(ROLES)
    if not roles and any(re.match(OF_EVERY_ROLE, path) for path in paths):
        roles = {SAMPLE}
    modules = {found[0] for path in paths if (found := re.match(r"terraform/(modules/\w+|bootstrap)(?=/)", path))}
    fabric = {"terraform"} if any(re.match(r"terraform/(?!bootstrap/)", path) for path in paths) else set()
    tiers = {tier for pattern, tier in TIERS.items() if any(re.match(pattern, path) for path in paths)}
    return Needs(tuple(sorted(roles)), tuple(sorted(modules | fabric)), tuple(sorted(tiers)))


def changed(revision: str) -> list[str]:
    """Paths that differ from the common ancestor with the revision, with new files. Raises LookupError."""
    if _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") is None:
        raise LookupError(f"There is no revision {revision}. Give a branch, a tag or a commit, for example SINCE=main.")
    ancestor = (_git("merge-base", revision, "HEAD") or [revision])[0]
    found = _git("diff", "--name-only", ancestor) or []
    return sorted({*found, *(_git("ls-files", "--others", "--exclude-standard") or [])})


def main(arguments: Sequence[str]) -> int:
    if arguments and (len(arguments) != 2 or arguments[0] != "--since"):
        print("usage: python -m tests.check [--since REVISION]", file=sys.stderr)
        return 2
    commands = [[sys.executable, "-m", "tests.tiers", *ALWAYS]]
    if arguments:
        try:
            more = needs(changed(arguments[1]))
        except LookupError as error:
            print(error.args[0], file=sys.stderr)
            return 2
        commands = more.commands() if more.every else [*commands, *more.commands()]
    for command in commands:
        print("$ " + " ".join(command).replace(f"{ROOT}/", ""), flush=True)
        if status := subprocess.run(command, cwd=ROOT).returncode:
            return 1 if status > 0 else 128 - status
    return 0


def _git(*arguments: str) -> list[str] | None:
    """The lines of a git command's output; None if it failed."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
