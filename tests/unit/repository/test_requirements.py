"""Every criterion names tests that exist, and its result is no better than theirs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests import results, tiers
from tests.requirements import criteria
from tests.requirements.__main__ import main, row
from tests.requirements.criteria import ROOT, Criterion, Need
from tests.unit.docs import parsers
from tests.unit.docs.commands import Command, simple

CRITERIA = criteria.load()


def test_there_are_ten_requirements_of_five_criteria_each() -> None:
    assert [each.id for each in CRITERIA] == [f"{number}.{item}" for number in range(1, 11) for item in range(1, 6)]
    assert set(yaml.safe_load(criteria.PROOFS.read_text())) == {each.id for each in CRITERIA}
    assert all(" the system SHALL " in f" {each.text} " or " SHALL " in each.text for each in CRITERIA)


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.id)
def test_every_criterion_has_tests_and_each_exists(criterion: Criterion) -> None:
    assert criterion.tests
    for test in [*criterion.tests, *(test for need in criterion.needs.values() for test in need.tests)]:
        file, _, name = test.partition("::")
        definition = rf'^run "{name}"' if file.endswith(".hcl") else rf"^ *def {name}\("
        assert re.search(definition, (ROOT / file).read_text(), flags=re.MULTILINE), f"{test} does not exist"
        assert criteria.place(test)


@pytest.mark.parametrize("criterion", [each for each in CRITERIA if each.needs], ids=lambda criterion: criterion.id)
def test_a_criterion_that_needs_a_gpu_or_aws_has_a_valid_command(criterion: Criterion) -> None:
    assert set(criterion.needs) <= set(criteria.NEEDS)
    for need in criterion.needs.values():
        commands = [Command(text, "") for text in simple(need.command.partition("  #")[0])]
        assert "make" in {command.program for command in commands}
        for command in commands:
            if command.program == "aws":
                assert parsers.unknown_to_aws(command.words) == []
                continue
            verb, *given = command.words[1:]
            assert f"\n{verb}:" in parsers.MAKEFILE, f"{command.text} calls no verb of the Makefile"
            assert {each.split("=")[0] for each in given} <= parsers.verb_variables(verb), command.text


def test_the_gpu_command_runs_the_tests_that_are_listed_for_it() -> None:
    run = {"tests/gpu"} | {f"tests/host/test_{name}.py" for name in tiers.ON_A_GPU}
    for need in (criterion.needs["gpu"] for criterion in CRITERIA if "gpu" in criterion.needs):
        assert bool(need.tests) == (need.command == "sudo make gpu")
        for test in need.tests:
            assert {test.partition("::")[0], test.rpartition("/")[0]} & run


A, B, C = "tests/unit/test_a.py::test_a", "tests/fabric/test_b.py::test_b", "tests/gpu/test_c.py::test_c"
BY_EYE, BY_TEST = {"gpu": Need("make verify")}, {"gpu": Need("sudo make gpu", (C,))}


@pytest.mark.parametrize(
    ("outcomes", "needs", "expected"),
    [
        ({A: "passed", B: "passed"}, {}, "passed"),
        ({A: "passed", B: "failed"}, {}, "failed"),
        ({A: "passed", B: "skipped"}, {}, "not run"),
        ({A: "passed"}, {}, "not run"),
        ({A: "passed", B: "passed"}, BY_EYE, "needs a GPU"),
        ({A: "failed"}, BY_EYE, "failed"),
        ({A: "passed", B: "passed"}, BY_TEST, "needs a GPU"),
        ({A: "passed", B: "passed", C: "skipped"}, BY_TEST, "needs a GPU"),
        ({A: "passed", B: "passed", C: "failed"}, BY_TEST, "failed"),
        ({A: "passed", B: "passed", C: "passed"}, BY_TEST, "passed"),
        ({A: "passed", C: "passed"}, BY_TEST, "not run"),
    ],
)
def test_a_criterion_is_as_good_as_its_worst_test(
    outcomes: dict[str, str], needs: dict[str, Need], expected: str
) -> None:
    seen = row(Criterion("1.1", "text", (A, B), needs), outcomes)
    assert seen["result"] == expected
    assert seen["where"][:2] == ["process", "embedded AWS"]


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A checkout in which `make test` ran everything that needs no GPU or AWS, and all tests passed."""
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    tests = [test for each in CRITERIA for test in each.tests]
    results.keep("unit", dict.fromkeys(tests, "passed"))
    return tests


def test_make_requirements_prints_json(ran: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`make requirements JSON=1` has id, text, tests, where and result of each criterion."""
    assert "tests.requirements $(JSON_FLAG)" in parsers.MAKEFILE
    assert main(["--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [each["id"] for each in rows] == [each.id for each in CRITERIA]
    for shown, criterion in zip(rows, CRITERIA, strict=True):
        assert {"id", "text", "tests", "where", "result"} <= shown.keys()
        assert shown["text"] == criterion.text
        assert [test["id"] for test in shown["tests"]] == list(criterion.tests)
        assert all(test["where"] in shown["where"] for test in shown["tests"])
        needs = " and ".join(criteria.NEEDS[key] for key in criterion.needs)
        assert shown["result"] == (f"needs {needs}" if needs else "passed")
        assert [each["command"] for each in shown["settled_by"].values()] == [
            need.command for need in criterion.needs.values()
        ]


def test_make_requirements_prints_a_table_and_fails_if_a_criterion_failed(
    ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    assert "settled on a GPU by: sudo make gpu" in capsys.readouterr().out
    results.keep("fabric", {ran[0]: "failed"})
    (results.FOLDER / "unit.json").unlink()
    assert main([]) == 1
    output = capsys.readouterr().out
    assert f"{sum(ran[0] in each.tests for each in CRITERIA)} failed" in output
    assert main(["--sideways"]) == 2


def test_all_cases_of_a_test_count_as_one_test(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="tests.unit.test_a" name="test_a[x]"/>'
        '<testcase classname="tests.unit.test_a" name="test_a[y]"><failure/></testcase>'
        '<testcase classname="tests.fabric.test_b" name="test_b"><skipped/></testcase></testsuite></testsuites>'
    )
    assert results.of_junit([report]) == {A: "failed", B: "skipped"}
