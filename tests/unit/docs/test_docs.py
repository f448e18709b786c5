"""Compare the documents with the repository: alarms, links, verbs, paths, scanner exceptions, table widths."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from ollama_gpu.core.contract import load
from ollama_gpu.core.paths import locate

ROOT = locate().repository
GENERATED_PAGES = ROOT / "docs" / "reference"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [path for path in DOCUMENTS if GENERATED_PAGES not in path.parents]
SPECIFICATION = ROOT / "docs" / "requirements.md"
OPERATIONS = ROOT / "docs" / "operations.md"
SECURITY = ROOT / "docs" / "security.md"
OBSERVABILITY = sorted((ROOT / "terraform" / "modules" / "observability").glob("*.tf"))
TERRAFORM = sorted(path for path in (ROOT / "terraform").rglob("*.tf") if ".terraform" not in path.parts)

GENERATED = {".git", ".venv", ".venv-checkov", ".ollama-gpu", ".terraform", "__pycache__"}
SUFFIXES = (".py", ".tf", ".tfvars", ".hcl", ".md", ".yaml", ".toml", ".lock", ".tftpl")
FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(?<!`)(?:``(.+?)``|`([^`\n]+)`)(?!`)")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """A document without its code blocks."""
    return FENCE.sub("", path.read_text())


def spans(path: Path) -> list[str]:
    """Text in backticks within a line."""
    return [long or short for long, short in SPAN.findall(prose(path))]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub generates for a document's headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose(path), flags=re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def section(path: Path, beginning: str) -> str:
    """The part of a document under the heading with this beginning."""
    return next(part for part in re.split(r"^## ", path.read_text(), flags=re.MULTILINE) if part.startswith(beginning))


def repository() -> tuple[set[str], set[str]]:
    """Files and folders of the repository, without generated ones."""
    files, folders = set(), set()
    for base, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in GENERATED]
        here = Path(base).relative_to(ROOT)
        folders |= {(here / name).as_posix() for name in below}
        files |= {(here / name).as_posix() for name in names}
    return files, folders


FILES, FOLDERS = repository()
TOP = {folder for folder in FOLDERS if "/" not in folder}


def looks_like_a_path(text: str) -> bool:
    """``terraform/main.tf``, ``docs/``, ``local.tfvars``; not ``/healthz``, ``ollama-gpu-<env>-vault``, ``make x``."""
    if not re.fullmatch(r"[\w.<>*-]+(/[\w.<>*-]+)*/?(#[\w<>-]+)?", text):
        return False
    path = text.partition("#")[0]
    return path.endswith(SUFFIXES) or ("/" in path and path.split("/")[0] in TOP)


def exists(text: str) -> bool:
    """Return whether a file or folder equals or ends with this path; ``<name>`` matches any name."""
    pattern = re.sub(r"<[^>]*>", "*", text.partition("#")[0]).rstrip("/")
    return any(fnmatchcase(path, pattern) or fnmatchcase(path, f"*/{pattern}") for path in FILES | FOLDERS)


def alarms() -> set[str]:
    """Every ``what`` of modules/observability: literal ones, keys of maps, and anchors in texts."""
    text = "\n".join(path.read_text() for path in OBSERVABILITY)
    named = set(re.findall(r'\bwhat\s*=\s*"([^"]+)"', text)) | set(re.findall(r"#alarm-([a-z][a-z-]*[a-z])", text))
    for local in re.findall(r"for what, \w+ in local\.(\w+)", text):
        named |= {key.strip('"') for key in local_map(local)}
    return named


def local_map(name: str) -> dict[str, Any]:
    for path in OBSERVABILITY:
        for block in hcl2.loads(path.read_text()).get("locals", []):
            if name in block:
                found: dict[str, Any] = {key: value for key, value in block[name].items() if not key.startswith("__")}
                return found
    raise AssertionError(f"modules/observability has no local.{name}")


def test_alarm_names_use_only_the_forms_that_this_test_reads() -> None:
    text = "\n".join(path.read_text() for path in OBSERVABILITY)
    assert set(re.findall(r'\bwhat\s*=(?!>)\s*([^\s"]+)', text)) <= {"what"}
    assert len(re.findall(r"\bwhat\s*=\s*what\b", text)) == len(re.findall(r"for what, \w+ in local\.\w+", text))


def test_every_alarm_has_a_runbook_entry_and_vice_versa() -> None:
    entries = {anchor.removeprefix("alarm-") for anchor in anchors(OPERATIONS) if anchor.startswith("alarm-")}
    assert entries == alarms()


def test_every_runbook_entry_has_symptom_first_look_and_action() -> None:
    entries = re.split(r"^### (?=alarm-)", OPERATIONS.read_text(), flags=re.MULTILINE)[1:]
    lacking = [
        (entry.splitlines()[0], part)
        for entry in entries
        for part in ("People notice", "Look first", "Do")
        if f"- **{part}**: " not in entry
    ]
    assert lacking == []


@pytest.mark.parametrize("language", ["json", "yaml"])
def test_examples_in_documents_parse(language: str) -> None:
    read = json.loads if language == "json" else yaml.safe_load
    examples = [
        example
        for document in DOCUMENTS
        for example in re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    ]
    assert examples
    assert all(read(example) for example in examples)


def test_documented_pipeline_plans_on_pull_request_and_applies_on_merge_without_keys() -> None:
    text = (ROOT / "docs" / "ci.md").read_text()
    [workflow] = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]
    trigger = workflow[True]  # YAML 1.1 reads `on` so
    assert "pull_request" in trigger
    assert trigger["push"] == {"branches": ["main"]}
    assert workflow["permissions"] == {"contents": "read", "id-token": "write"}
    plan, apply = workflow["jobs"]["plan"], workflow["jobs"]["apply"]
    assert plan["if"] == "github.event_name == 'pull_request'"
    assert (apply["if"], apply["environment"]) == ("github.event_name == 'push'", "prod")
    for name, job, last in (("plan", plan, "make plan ENV=prod"), ("apply", apply, "make verify ENV=prod")):
        [credentials] = [step["with"] for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
        assert credentials["role-to-assume"].endswith(f":role/ollama-gpu-ci-{name}")
        assert not [key for key in credentials if "key" in key or "token" in key]
        assert job["steps"][-1]["run"] == last
    assert not any("deploy" in step.get("run", "") for step in plan["steps"]), "a pull request must change nothing"
    trust = next(json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    [statement] = trust["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert list(statement["Condition"]) == ["StringEquals"], "StringLike would admit other branches"
    assert not [value for value in statement["Condition"]["StringEquals"].values() if "*" in value]


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_link_has_a_target(document: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (document.parent / file).resolve() if file else document
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_make_command_is_a_makefile_verb(document: Path) -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    code = "\n".join([*FENCE.findall(document.read_text()), *spans(document)])
    called = re.findall(r"(?:^|[\s(;&|])make (?:[A-Z_]+=\S+ )*([a-z][a-z-]*)", code, flags=re.MULTILINE)
    assert set(called) - verbs == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_path_in_backticks_exists(document: Path) -> None:
    assert [text for text in spans(document) if looks_like_a_path(text) and not exists(text)] == []


def skips() -> Iterator[tuple[str, str]]:
    """(check, file) of each exception in the tree."""
    for path in TERRAFORM:
        for check in re.findall(r"#\s*checkov:skip=(\w+)", path.read_text()):
            yield check, relative(path)


def listed() -> Iterator[tuple[str, str]]:
    """(check, file) of each row of the table of exceptions."""
    for line in SECURITY.read_text().splitlines():
        checks = re.findall(r"\bCKV2?_AWS_\d+\b", line)
        for file in re.findall(r"`(terraform/[^`]+\.tf)`", line):
            yield from ((check, file) for check in checks)


def test_scanner_exceptions_match_the_table_in_security() -> None:
    assert set(listed()) == set(skips())


def test_counted_waf_rules_match_the_list_in_security() -> None:
    rule = r"\b[A-Za-z0-9]+_(?:BODY|URIPATH|HEADER|QUERYARGUMENTS|QUERYSTRING|COOKIE)\b"
    firewall = (ROOT / "terraform" / "modules" / "edge" / "waf.tf").read_text()
    assert set(re.findall(rule, section(SECURITY, "What WAF counts"))) == set(re.findall(rule, firewall))


def test_open_ports_match_the_network_flows() -> None:
    flows = (ROOT / "terraform" / "modules" / "network" / "flows.tf").read_text()
    ports = load(locate().contract).ports
    written = {int(number) for number in re.findall(r"\bport = (\d+)", flows)}
    named = {ports[key] for key in re.findall(r"\bport = var\.ports\.(\w+)", flows)}
    rows = re.findall(r"^\|[^|]+\|[^|]+\| ([\d, ]+) \|", section(SECURITY, "What is open"), flags=re.MULTILINE)
    assert {int(number) for row in rows for number in row.split(",")} == written | named


def test_shipped_pipeline_is_the_documented_one_behind_a_repository_variable() -> None:
    text = (ROOT / "docs" / "ci.md").read_text()
    [documented] = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    shipped = (ROOT / ".github" / "workflows" / "fabric.yml").read_text()
    shipped = shipped.replace("${{ vars.AWS_ACCOUNT_ID }}", "123456789012")
    shipped = shipped.replace("vars.AWS_ACCOUNT_ID != '' && ", "")
    assert yaml.safe_load(shipped) == yaml.safe_load(documented)


@pytest.mark.parametrize("document", [each for each in WRITTEN if each != SPECIFICATION], ids=relative)
def test_table_cells_are_at_most_120_characters(document: Path) -> None:
    rows = [line for line in prose(document).splitlines() if line.startswith("|")]
    cells = [cell.strip() for row in rows for cell in re.split(r"(?<!\\)\|", row)]
    assert [cell for cell in cells if len(cell) > 120] == []


def test_readme_is_short_and_names_the_commands_that_a_newcomer_needs() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 200
    for phrase in ("make deploy ENV=local", "make test", "ansible-playbook", "molecule test", "```mermaid"):
        assert phrase in text


@pytest.mark.parametrize("record", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=relative)
def test_decision_record_has_status_context_decision_consequences(record: Path) -> None:
    headings = re.findall(r"^## (.+)$", record.read_text(), flags=re.MULTILINE)
    assert headings == ["Status", "Context", "Decision", "Consequences"]
    assert f"]({record.name})" in (record.parent / "README.md").read_text()


def test_runbook_links_in_code_have_a_target() -> None:
    """Alarm descriptions and remedies name ``docs/PAGE.md#anchor``; a placeholder ends the anchor."""
    sources = [path for folder in ("scripts", "terraform", "inventories") for path in (ROOT / folder).rglob("*")]
    texts = [path.read_text() for path in sources if path.suffix in (".py", ".tf", ".yml") and path.is_file()]
    named = {found for text in texts for found in re.findall(r"(?<!/)docs/[\w/-]+\.md(?:#[\w-]+\w)?", text)}
    assert any("#" in each for each in named)
    for each in named:
        page, _, anchor = each.partition("#")
        assert (ROOT / page).is_file(), each
        assert not anchor or anchor == "alarm" or anchor in anchors(ROOT / page), each
