"""`make check SINCE=...`: what changed paths need."""

from __future__ import annotations

import pytest

from tests import check, tiers
from tests.check import Needs, needs

ROLES = "ansible_collections/ollama/gpu/roles"
SCENARIOS = "ansible_collections/ollama/gpu/extensions/molecule"


@pytest.mark.parametrize(
    ("paths", "needed"),
    [
        (["README.md", "docs/daily.md"], Needs()),
        ([f"{ROLES}/gateway/tasks/main.yml"], Needs(roles=("gateway",), tiers=("collection",))),
        ([f"{SCENARIOS}/drain/molecule.yml"], Needs(roles=("drain",), tiers=("collection",))),
        (["tests/role/test_docker.py"], Needs(roles=("docker",))),
        (
            [f"{SCENARIOS}/config.yml", f"{SCENARIOS}/shared/prepare.yml"],
            Needs(roles=("gateway",), tiers=("collection",)),
        ),
        (["tests/role/stages/test_stages.py", "tests/role/__main__.py"], Needs(roles=("gateway",))),
        (["tests/role/stages/test_stages.py", "tests/role/test_docker.py"], Needs(roles=("docker",))),
        (
            ["terraform/modules/fleet/scaling.tf"],
            Needs(folders=("terraform", "terraform/modules/fleet"), tiers=("account", "security")),
        ),
        (["terraform/bootstrap/main.tf"], Needs(folders=("terraform/bootstrap",), tiers=("account", "security"))),
        (["scripts/ollama_gpu/local/lab/engine.py"], Needs(tiers=("lab",))),
        (["scripts/ollama_gpu/rollout/follow.py", "tests/bake/test_image.py"], Needs(tiers=("bake", "fabric"))),
        (["requirements.lock", "README.md"], Needs(every=True)),
    ],
)
def test_changed_paths_need_roles_folders_and_tiers(paths: list[str], needed: Needs) -> None:
    assert needs(paths) == needed


def test_every_tier_of_the_table_exists() -> None:
    known = {tier.name for tier in tiers.TIERS}
    assert set(check.TIERS.values()) <= known
    assert {each for each in check.ALWAYS if each != tiers.QUICK} <= known


def test_sample_of_the_shared_files_is_a_role() -> None:
    assert check.SAMPLE in check.ROLES


def test_every_role_of_a_change_is_run() -> None:
    commands = Needs(roles=("gateway", "ollama")).commands()
    assert [command[-1] for command in commands] == ["ROLE=gateway", "ROLE=ollama"]


def test_changed_paths_of_head_are_new_or_uncommitted_files() -> None:
    assert all((check.ROOT / path).parent.is_dir() for path in check.changed("HEAD"))


def test_unknown_revision_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["--since", "no-such-branch"]) == 2
    assert "SINCE=main" in capsys.readouterr().err
