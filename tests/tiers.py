"""Run every tier of tests and say of each what passed, failed, or did not run and why.

    python -m tests.tiers [TIER ...]

The last line counts checks over all tiers. A tier that cannot run here is reported as not run, never as passed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import results, side_by_side
from tests.gpu import host as gpu_host
from tests.side_by_side import Outcome, Turn

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".ollama-gpu" / "tests"
PYTHON = ROOT / ".venv" / "bin" / "python"


@dataclass(frozen=True)
class Tier:
    """``needs``: what tiers take turns at. ``alone``: runs at the end with no other tier beside it but those that fill.

    ``fills``: it does nothing but compute, and waits for nothing: it takes what one that runs alone leaves idle.
    """

    name: str
    what: str
    run: Callable[[], Outcome]
    needs: str = ""
    alone: bool = False
    fills: bool = False


def main(names: Sequence[str]) -> int:
    unknown = sorted(set(names) - {tier.name for tier in TIERS})
    if unknown:
        print(f"There is no tier {', '.join(unknown)}; there are {', '.join(tier.name for tier in TIERS)}.")
        return 2
    WORK.mkdir(parents=True, exist_ok=True)
    chosen = [tier for tier in TIERS if not names or tier.name in names]
    if len(chosen) == 1:
        return only(chosen[0])
    together = [Turn(tier.name, tier.needs) for tier in chosen if not (tier.alone or tier.fills)]
    # the first that runs alone begins at once, the next one when it has ended: nothing is measured beside another
    then = sorted((tier for tier in chosen if tier.alone or tier.fills), key=lambda tier: not tier.alone)
    last = [Turn(tier.name, "the machine" if tier.alone else "", tier.fills) for tier in then]
    return side_by_side.report([*side_by_side.run(together, WORK, at_once=3), *side_by_side.run(last, WORK, at_once=2)])


def only(tier: Tier) -> int:
    """Run a tier in this process; its outcome is also written for whoever waits for it."""
    print(f"=== {tier.name}: {tier.what}", flush=True)
    outcome = tier.run()
    side_by_side.keep(outcome, WORK / f"{tier.name}.json")
    print(f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped {outcome.not_run}".rstrip())
    return 1 if outcome.failed else 0


def static() -> Outcome:
    """Each linter is one check."""
    env = terraform_environment()
    results = [
        call([str(PYTHON), "-m", "ruff", "check", "."]),
        call([str(PYTHON), "-m", "ruff", "format", "--check", "."]),
        call([str(PYTHON), "-m", "mypy"]),
        call(["terraform", "fmt", "-check", "-recursive", "-diff", "terraform"], env),
    ]
    for root in ROOTS:
        validate = ["terraform", f"-chdir={root}", "validate", "-no-color"]
        results.append(initialised(root, env) and call(validate, env_for(root, env)))
    return tally(results)


def collection() -> Outcome:
    """The Ansible tree, and the collection as it ships: built, installed, judged by Ansible's own tools."""
    bin_folder = PYTHON.parent
    env = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    lint_docs = [str(bin_folder / "antsibull-docs"), "lint-collection-docs", "--plugin-docs", "--skip-rstcheck"]
    return tally(
        [
            call([str(bin_folder / "yamllint"), "--strict", "."], env),
            call([str(bin_folder / "ansible-lint"), "-q"], env),
            call([str(PYTHON), "-m", "tests.ansible_sanity"], env),
            call([*lint_docs, "ansible_collections/ollama/gpu"], env),
        ]
    )


def molecule() -> Outcome:
    """Every scenario from nothing to nothing. A scenario counts as one check, and so does each of its tests."""
    if os.geteuid() != 0 and subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        return Outcome(not_run="needs Docker: start it, or run this as root, which installs and starts it")
    bin_folder = PYTHON.parent
    env = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1", "PY_COLORS": "0"}
    if not call([str(bin_folder / "ollama-gpu"), "lab", "supply"], env):
        return Outcome(failed=1)
    counts = Counter[str]()
    reports: list[Path] = []
    for scenario in sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")):
        log = WORK / f"molecule-{scenario}.log"
        command = [str(bin_folder / "molecule"), "test", "--scenario-name", scenario]
        print(f"$ molecule test --scenario-name {scenario} > {log.relative_to(ROOT)}", flush=True)
        report = WORK / f"molecule-{scenario}.xml"
        report.unlink(missing_ok=True)
        reporting = {**env, "PYTEST_ADDOPTS": f"--junit-xml={report}"}
        with log.open("w") as output:
            ran = subprocess.run(command, cwd=ROOT, env=reporting, stdout=output, stderr=subprocess.STDOUT)
        reports += [report] if report.exists() else []
        counts["passed" if ran.returncode == 0 else "failed"] += 1
        text = log.read_text(errors="replace")
        for line in re.findall(r"^=+ (.*) in [0-9.]+s.*=+$", text, re.MULTILINE):
            print(f"  {scenario}: {line}", flush=True)
            for number, kind in re.findall(r"(\d+) (passed|failed|skipped|error)", line):
                counts["failed" if kind == "error" else kind] += int(number)
        if ran.returncode != 0:
            print(text[-6000:])
    results.keep("molecule", results.of_junit(reports))
    return Outcome(counts["passed"], counts["failed"], counts["skipped"])


def security() -> Outcome:
    """checkov, in an environment of its own: it pins versions that the driver cannot share."""
    venv = ROOT / ".venv-checkov"
    if not installed(venv, ROOT / "requirements-checkov.lock"):
        return Outcome(failed=1)
    command = [
        str(venv / "bin" / "python"),
        str(venv / "bin" / "checkov"),
        "--directory",
        "terraform",
        "--framework",
        "terraform",
        "--skip-path",
        "/tests/",
        "--skip-download",
        "--quiet",
        "--compact",
    ]
    return tally([call(command)])


def installed(venv: Path, lock: Path) -> bool:
    """A virtual environment with exactly what a lock names; made anew when the lock has changed."""
    stamp, digest = venv / ".lock-digest", hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return True
    pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    if not (call([sys.executable, "-m", "venv", "--clear", str(venv)]) and call([*pip, "-r", str(lock)])):
        return False
    stamp.write_text(digest)
    return True


def plans() -> Outcome:
    """terraform test: plans with mock providers, no credentials."""
    env = terraform_environment()
    passed = failed = 0
    runs: dict[str, str] = {}
    for root in tested_folders():
        if not initialised(root, env):
            failed += 1
            continue
        environment = env_for(root, env)
        ran = subprocess.run(
            ["terraform", f"-chdir={root}", "test", "-json"], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        by_run = read_terraform_test(ran.stdout)
        runs |= {f"{root}/{run}": outcome for run, outcome in by_run.items()}
        good = sum(outcome == "passed" for outcome in by_run.values())
        bad = len(by_run) - good
        if ran.returncode != 0 and bad == 0:
            print(ran.stdout[-4000:], ran.stderr[-2000:])
            bad = 1
        passed, failed = passed + good, failed + bad
    results.keep("plan", runs)
    return Outcome(passed, failed)


def tested_folders() -> list[str]:
    """Every Terraform folder that has a `tests` folder: the root, bootstrap, and the modules."""
    found = {path.parent.parent for path in (ROOT / "terraform").rglob("tests/*.tftest.hcl")}
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def read_terraform_test(output: str) -> dict[str, str]:
    """Outcomes of run blocks, ``passed`` or ``failed`` by file and name; prints each, and a failure's diagnostics."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            print(line)
            continue
        run = event.get("test_run", {})
        if event.get("type") == "test_run" and run.get("progress", "complete") == "complete":
            status = run.get("status", "error")
            found[f"{run['path']}::{run['run']}"] = "passed" if status == "pass" else "failed"
            print(f"  {status:<5} {run['path']}: {run['run']}")
        elif event.get("type") == "diagnostic" and event.get("@level") == "error":
            diagnostic = event["diagnostic"]
            print(f"  {diagnostic['summary']}\n    {diagnostic.get('detail', '')}")
    return found


def suite(*folders: str) -> Callable[[], Outcome]:
    """A pytest suite of these folders or files, counted from its report."""

    def run() -> Outcome:
        report = WORK / f"{folders[0].replace('/', '-')}.xml"
        report.unlink(missing_ok=True)
        call([str(PYTHON), "-m", "pytest", *folders, f"--junit-xml={report}", "-q"])
        if not report.exists():
            return Outcome(failed=1)
        results.keep(report.stem, results.of_junit([report]))
        found = [each.attrib for each in ElementTree.parse(report).getroot().iter("testsuite")]
        total, failed, skipped = (
            sum(int(each[key]) for each in found for key in keys)
            for keys in (["tests"], ["failures", "errors"], ["skipped"])
        )
        return Outcome(total - failed - skipped, failed, skipped) if total else Outcome(failed=1)

    return run


def gpu() -> Outcome:
    """As root on a host that the roles have converged: it starts a unit of its own beside those that serve."""
    if reason := gpu_host.not_run():
        return Outcome(not_run=reason)
    return suite("tests/gpu", *(f"tests/host/test_{name}.py" for name in ON_A_GPU))()


ROOTS = ("terraform", "terraform/bootstrap")

ON_A_GPU = ("nvidia_driver", "cuda", "container_toolkit", "ollama", "gpu_metrics")
SERVING = ("chat", "security", "limits", "browser", "sign_on", "models", "faults", "drain", "drill")
"""In this order, on one deploy: from what changes nothing to what ends instances and stores."""

# In the order in which they begin, the longest first: what is short fills the gaps at the end.
TIERS = (
    Tier(
        "molecule",
        "the roles in systemd containers: real packages, a real model, NVIDIA's real modules",
        molecule,
    ),
    Tier("fabric", "make deploy, plan, destroy with ENV=local, and what can go wrong", suite("tests/fabric")),
    Tier(
        "bake",
        "the image: one bake of all roles, looked at from every side, and what can go wrong",
        suite("tests/bake"),
        needs="the image",
    ),
    Tier(
        "lab",
        "the lab's parts: instances, front door, agent's stand-in, a stock image's launch",
        suite("tests/lab"),
        needs="the image",
    ),
    Tier("unit", "the driver's parts", suite("tests/unit")),
    Tier("embedded", "the embedded AWS, service by service", suite("tests/embedded_aws")),
    Tier("plan", "terraform test with mock providers", plans, fills=True),
    Tier(
        "collection",
        "yamllint, ansible-lint, ansible-test sanity and documentation of what ships",
        collection,
        fills=True,
    ),
    Tier("static", "ruff, mypy --strict, terraform fmt and validate", static, fills=True),
    Tier("security", "checkov over the Terraform tree", security, fills=True),
    Tier(
        "serving",
        "make deploy ENV=local: chats, a browser, limits, figures, security from outside, faults, drains, a drill",
        suite(*(f"tests/serving/test_{name}.py" for name in SERVING)),
        alone=True,  # it measures how the product behaves under load
    ),
    Tier("gpu", "a converged host with a GPU: the gate, the host, an 8B at 1 to 32 streams", gpu, alone=True),
)


def call(command: Sequence[str], environment: dict[str, str] | None = None) -> bool:
    print("$ " + " ".join(part.replace(f"{ROOT}/", "") for part in command), flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


def tally(results: Sequence[bool]) -> Outcome:
    good = list(results)
    return Outcome(passed=sum(good), failed=len(good) - sum(good))


def terraform_environment() -> dict[str, str]:
    from ollama_gpu.terraform.installation import clean_environment, find_provider_mirrors

    kept, _ = clean_environment(os.environ)
    return {**kept, **find_provider_mirrors(WORK, kept).environment, "CHECKPOINT_DISABLE": "1"}


def env_for(root: str, environment: dict[str, str]) -> dict[str, str]:
    """Terraform's data of one root module, outside the tree."""
    return {**environment, "TF_DATA_DIR": str(WORK / "data" / root.replace("/", "-"))}


def initialised(root: str, environment: dict[str, str]) -> bool:
    """Providers and modules of a root module; its words matter only when it fails."""
    command = ["terraform", f"-chdir={root}", "init", "-backend=false", "-input=false", "-no-color"]
    ran = subprocess.run(command, cwd=ROOT, env=env_for(root, environment), capture_output=True, text=True)
    if ran.returncode != 0:
        print(ran.stdout, ran.stderr, sep="\n")
    return ran.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
