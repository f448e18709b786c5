"""Run every tier of tests and report what passed, failed, or did not run and why.

    python -m tests.tiers [--quick] [--only=FOLDER ...] [TIER ...]

``--quick`` leaves out the tests that are marked ``process``. ``--only``: the tier ``plan`` in these folders. The last
line counts checks over all tiers. A tier that cannot run here is reported as not run, never as passed.
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

from tests import inherited, results, side_by_side
from tests.gpu import host as gpu_host
from tests.side_by_side import Outcome, Turn

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".ollama-gpu" / "tests"
PYTHON = ROOT / ".venv" / "bin" / "python"


@dataclass(frozen=True)
class Tier:
    """``needs``: a resource that only one tier at a time may use. ``alone``: runs at the end, next to ``fills`` only.

    ``fills``: only computes and never waits, so it uses the processor time that a tier running alone leaves idle.
    ``asked``: runs only if it is named.
    """

    name: str
    what: str
    run: Callable[[Sequence[str]], Outcome]
    needs: str = ""
    alone: bool = False
    fills: bool = False
    asked: bool = False


def main(arguments: Sequence[str]) -> int:
    inherited.reset()
    options = tuple(each for each in arguments if each == QUICK or each.startswith(ONLY))
    names = [each for each in arguments if each not in options]
    unknown = sorted(set(names) - {tier.name for tier in TIERS})
    if unknown:
        print(f"Unknown tier: {', '.join(unknown)}. Known tiers: {', '.join(tier.name for tier in TIERS)}.")
        return 2
    WORK.mkdir(parents=True, exist_ok=True)
    chosen = [tier for tier in TIERS if tier.name in names or not (names or tier.asked)]
    if len(chosen) == 1:
        return only(chosen[0], options)
    together = [Turn(tier.name, tier.needs, options=options) for tier in chosen if not (tier.alone or tier.fills)]
    # Tiers that run alone follow one another, so that none is measured next to another one.
    then = sorted((tier for tier in chosen if tier.alone or tier.fills), key=lambda tier: not tier.alone)
    last = [Turn(tier.name, "the machine" if tier.alone else "", tier.fills, options) for tier in then]
    rows = [*side_by_side.run(together, WORK, at_once=3), *side_by_side.run(last, WORK, at_once=2)]
    print(f"\n=== the {SLOWEST} slowest tests")
    for seconds, test in results.slowest([tier.name for tier in chosen], SLOWEST):
        print(f"  {seconds:6.1f} s  {test}")
    return side_by_side.report(rows)


def only(tier: Tier, options: Sequence[str]) -> int:
    """Run a tier in this process, and write its outcome to a file for the process that waits for it."""
    print(f"=== {tier.name}: {tier.what}", flush=True)
    outcome = tier.run(options)
    side_by_side.keep(outcome, WORK / f"{tier.name}.json")
    print(f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped {outcome.not_run}".rstrip())
    return 1 if outcome.failed else 0


def static(_options: Sequence[str]) -> Outcome:
    """Each linter is one check."""
    env = terraform_environment()
    results = [
        call([str(PYTHON), "-m", "ruff", "check", "."]),
        call([str(PYTHON), "-m", "ruff", "format", "--check", "."]),
        call([str(PYTHON), "-m", "mypy"]),
        call(["terraform", "fmt", "-check", "-recursive", "-diff", "terraform"], env),
        call([str(PYTHON.with_name("yamllint")), "--strict", "."], env),
        call([str(PYTHON.with_name("check-jsonschema")), "--builtin-schema", "vendor.github-workflows", *WORKFLOWS]),
        call([str(PYTHON), "scripts/check_language.py"]),
    ]
    for root in ROOTS:
        validate = ["terraform", f"-chdir={root}", "validate", "-no-color"]
        results.append(initialised(root, env) and call(validate, env_for(root, env)))
    return tally(results)


def collection(_options: Sequence[str]) -> Outcome:
    """The Ansible tree, and the collection as it ships: built, installed, checked by Ansible's own tools."""
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


def molecule(_options: Sequence[str]) -> Outcome:
    """Every scenario, from create to destroy. A scenario counts as one check, and so does each of its tests."""
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
    results.keep_junit("molecule", reports)
    return Outcome(counts["passed"], counts["failed"], counts["skipped"])


def security(_options: Sequence[str]) -> Outcome:
    """checkov, in a separate virtual environment: it pins versions that conflict with the driver's."""
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
    """Install exactly the packages of a lock file; rebuild the virtual environment when the lock file has changed."""
    stamp, digest = venv / ".lock-digest", hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return True
    pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    if not (call([sys.executable, "-m", "venv", "--clear", str(venv)]) and call([*pip, "-r", str(lock)])):
        return False
    stamp.write_text(digest)
    return True


def plans(options: Sequence[str]) -> Outcome:
    """terraform test: plans with mock providers, no credentials."""
    env = terraform_environment()
    passed = failed = 0
    runs: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for root in [each.removeprefix(ONLY) for each in options if each.startswith(ONLY)] or tested_folders():
        if not initialised(root, env):
            failed += 1
            continue
        environment = env_for(root, env)
        ran = subprocess.run(
            ["terraform", f"-chdir={root}", "test", "-json"], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        by_run = read_terraform_test(ran.stdout)
        runs |= {f"{root}/{run}": outcome for run, (outcome, _) in by_run.items()}
        seconds |= {f"{root}/{run}": took for run, (_, took) in by_run.items()}
        good = sum(outcome == "passed" for outcome, _ in by_run.values())
        bad = len(by_run) - good
        if ran.returncode != 0 and bad == 0:
            print(ran.stdout[-4000:], ran.stderr[-2000:])
            bad = 1
        if bad:
            print(f"run it again: .venv/bin/python -m tests.tiers {ONLY}{root} plan", flush=True)
        passed, failed = passed + good, failed + bad
    results.keep("plan", runs, seconds)
    return Outcome(passed, failed)


def tested_folders() -> list[str]:
    """Every Terraform folder that has a `tests` folder: the root, bootstrap, and the modules."""
    found = {path.parent.parent for path in (ROOT / "terraform").rglob("tests/*.tftest.hcl")}
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def read_terraform_test(output: str) -> dict[str, tuple[str, float]]:
    """Return the outcome of each run block (``passed`` or ``failed``) and its seconds, by file and name.

    Prints each, with failure details.
    """
    found: dict[str, tuple[str, float]] = {}
    for line in output.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            print(line)
            continue
        run = event.get("test_run", {})
        if event.get("type") == "test_run" and run.get("progress", "complete") == "complete":
            status = run.get("status", "error")
            outcome = "passed" if status == "pass" else "failed"
            found[f"{run['path']}::{run['run']}"] = outcome, run.get("elapsed", 0) / 1000
            print(f"  {status:<5} {run['path']}: {run['run']}")
        elif event.get("type") == "diagnostic" and event.get("@level") == "error":
            diagnostic = event["diagnostic"]
            print(f"  {diagnostic['summary']}\n    {diagnostic.get('detail', '')}")
    return found


def suite(name: str, *arguments: str) -> Callable[[Sequence[str]], Outcome]:
    """A pytest suite with these folders, files and options, counted from its report."""

    def run(options: Sequence[str]) -> Outcome:
        report = WORK / f"{name}.xml"
        report.unlink(missing_ok=True)
        quick = ["-m", "not process"] if QUICK in options else []
        call([str(PYTHON), "-m", "pytest", *arguments, *quick, f"--junit-xml={report}", "-q"])
        if not report.exists():
            return Outcome(failed=1)
        results.keep_junit(name, [report])
        found = [each.attrib for each in ElementTree.parse(report).getroot().iter("testsuite")]
        total, failed, skipped = (
            sum(int(each[key]) for each in found for key in keys)
            for keys in (["tests"], ["failures", "errors"], ["skipped"])
        )
        return Outcome(total - failed - skipped, failed, skipped) if total else Outcome(failed=1)

    return run


def gpu(options: Sequence[str]) -> Outcome:
    """Run as root on a host that the roles have converged: it starts a separate unit next to the serving ones."""
    if reason := gpu_host.not_run():
        return Outcome(not_run=reason)
    return suite("gpu", "tests/gpu", *(f"tests/host/test_{name}.py" for name in ON_A_GPU))(options)


ROOTS = ("terraform", "terraform/bootstrap")
WORKFLOWS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / ".github" / "workflows").glob("*.yml"))

ON_A_GPU = ("nvidia_driver", "cuda", "container_toolkit", "ollama", "gpu_metrics")
PARALLEL = ("-n", "auto", "--dist", "loadfile")
WITHOUT_FABRIC = tuple(
    f"tests/fabric/test_{name}.py" for name in ("bootstrap", "every_environment_plans", "mistakes", "preflight")
)
"""Files that need no deployed fabric, so that they run beside those that do."""
QUICK, ONLY = "--quick", "--only="
SLOWEST = 30

# In the order in which they start, the longest first: short tiers fill the gaps at the end.
TIERS = (
    Tier(
        "molecule",
        "the roles in systemd containers: real packages, a real model, NVIDIA's real modules",
        molecule,
    ),
    Tier(
        "fabric",
        "make deploy, plan, destroy with ENV=local, and what can go wrong",
        suite("fabric", "tests/fabric", *(f"--ignore={file}" for file in WITHOUT_FABRIC)),
    ),
    Tier(
        "bake",
        "the image: one bake of all roles, checks of the result, and what can go wrong",
        suite("bake", "tests/bake"),
        needs="the image",
    ),
    Tier(
        "account",
        "bootstrap, preflight, the plans of every environment, and mistakes of users",
        suite("account", *WITHOUT_FABRIC),
    ),
    Tier(
        "lab",
        "the lab's parts: instances, front door, the simulated agent",
        suite("lab", "tests/lab", "-m", "not nightly"),
        needs="the image",
    ),
    Tier("unit", "the driver's parts", suite("unit", "tests/unit", *PARALLEL)),
    Tier("embedded", "the embedded AWS, service by service", suite("embedded", "tests/embedded", *PARALLEL)),
    Tier("plan", "terraform test with mock providers", plans, fills=True),
    Tier(
        "collection",
        "yamllint, ansible-lint, ansible-test sanity and documentation of what ships",
        collection,
        fills=True,
    ),
    Tier(
        "static",
        "ruff, mypy --strict, terraform fmt and validate, yamllint, workflows, the language check",
        static,
        fills=True,
    ),
    Tier("security", "checkov over the Terraform tree", security, fills=True),
    Tier(
        "serving",
        "make deploy ENV=local: chats, a browser, limits, figures, security from outside, a fault, a drain, a drill",
        suite("serving", "tests/serving", "-m", "not fault"),
        alone=True,  # it measures how the product behaves under load
    ),
    Tier(
        "faults",
        "make deploy ENV=local, and every other fault and drain during chats",
        suite("faults", "tests/serving", "-m", "fault"),
        alone=True,
        asked=True,
    ),
    Tier(
        "nightly",
        "one more converge: the launch of a stock image",
        suite("nightly", "tests/lab", "-m", "nightly"),
        alone=True,
        asked=True,
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
    """Install providers and modules of a root module; prints Terraform's output only on failure."""
    command = ["terraform", f"-chdir={root}", "init", "-backend=false", "-input=false", "-no-color"]
    ran = subprocess.run(command, cwd=ROOT, env=env_for(root, environment), capture_output=True, text=True)
    if ran.returncode != 0:
        print(ran.stdout, ran.stderr, sep="\n")
    return ran.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
