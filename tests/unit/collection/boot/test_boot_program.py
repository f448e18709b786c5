"""The boot of an instance up to its report to the group, against a real AWS API and a real Ansible."""

from __future__ import annotations

import fcntl
import json
import re
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest

from ollama_gpu.core.collection import source
from ollama_gpu.core.contract import load
from ollama_gpu.core.paths import locate

from .conftest import PROGRAM, Instance, Release, wait_until

pytestmark = pytest.mark.process

WHOLE = ["install", "image", "configure"]
FAILING = """
- {name: Break it, ansible.builtin.fail: {msg: "the disk is\\nfull"}, tags: [thing_service, service]}
"""


def timeline(program: ModuleType) -> dict[str, Any]:
    written: dict[str, Any] = json.loads((program.WORK / "timeline.json").read_text())
    return written


def boot(program: ModuleType, instance: Instance, *options: str) -> int:
    return int(program.main([*options, str(instance.description)]))


def test_stock_instance_converges_to_the_release_and_reports_ready_once(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    digest = release.publish("one")
    assert boot(program, instance) == 0
    assert release.stages() == WHOLE
    wait_until(lambda: instance.state() == "InService")

    # a later boot of the same release downloads nothing
    program.ENDED_WELL.unlink()
    known = json.loads(instance.description.read_text())
    instance.aws("s3").delete_object(Bucket=known["artifact_bucket"], Key=f"collections/{digest}.tar.gz")
    assert boot(program, instance) == 0
    assert release.stages() == [*WHOLE, "configure"]
    assert instance.state() == "InService"


def bake(program: ModuleType, instance: Instance, release: Release, **variables: Any) -> None:
    """Make the host one of a baked image of this release, baked with the instance's variables and these."""
    digest = release.publish("one", put=False)  # nothing is published to download
    assert program.main(["--unpack", str(release.archive("one"))]) == 0
    baked = json.loads(instance.description.read_text())["variables"] | variables
    digests = program.fingerprints(baked, program.role_names())
    program.IMAGE.write_text(json.dumps({"collection_sha256": digest, "role_variables": digests}))


def set_variables(instance: Instance, **variables: Any) -> None:
    known = json.loads(instance.description.read_text())["variables"]
    instance.change(variables=known | variables)


def test_baked_image_of_the_release_skips_what_the_bake_has_done(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    bake(program, instance, release)
    assert boot(program, instance) == 0
    assert release.stages() == ["configure"]
    wait_until(lambda: instance.state() == "InService")


def test_variable_of_a_role_that_changed_since_the_bake_runs_the_stages_of_that_role(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    bake(program, instance, release, thing_version="1")
    set_variables(instance, thing_version="2")
    assert boot(program, instance) == 0
    assert release.stages() == WHOLE
    program.ENDED_WELL.unlink()
    assert boot(program, instance) == 0
    assert release.stages() == [*WHOLE, "configure"], "the second boot has the variables of the first"


def test_variable_of_another_role_runs_no_install_stage_of_this_role(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    bake(program, instance, release)
    roles = program.COLLECTIONS / "ansible_collections" / "ollama" / "gpu" / "roles"
    (roles / "other" / "tasks").mkdir(parents=True)
    set_variables(instance, other_version="2")
    assert boot(program, instance) == 0
    assert release.stages() == ["image", "configure"]


def test_variable_of_no_role_runs_the_full_play(program: ModuleType, instance: Instance, release: Release) -> None:
    bake(program, instance, release)
    set_variables(instance, mirror="https://mirror.example")
    assert boot(program, instance) == 0
    assert release.stages() == WHOLE


def test_variables_that_the_fabric_sets_run_nothing_again(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    bake(program, instance, release, model_store_source="http://mirror.example")
    set_variables(instance, open_webui_url="https://chat.example")
    assert boot(program, instance) == 0
    assert release.stages() == ["configure"]


def test_image_without_recorded_variables_runs_the_full_play(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    digest = release.publish("one")
    program.IMAGE.write_text(json.dumps({"collection_sha256": digest}))
    assert boot(program, instance) == 0
    assert release.stages() == WHOLE


def test_image_of_another_release_runs_the_full_play(program: ModuleType, instance: Instance, release: Release) -> None:
    program.IMAGE.write_text(json.dumps({"collection_sha256": "0" * 64}))
    release.publish("one")
    assert boot(program, instance) == 0
    assert release.stages() == WHOLE


def test_full_play_runs_again_after_an_aborted_one(program: ModuleType, instance: Instance, release: Release) -> None:
    old = release.publish("old")
    assert boot(program, instance) == 0
    release.publish("new", FAILING)
    assert boot(program, instance) == 1
    release.point_at("old", old)
    assert boot(program, instance) == 0
    assert release.stages() == [*WHOLE, *WHOLE, *WHOLE]


def test_failed_task_is_reported_and_abandons_the_launch_once(
    program: ModuleType, instance: Instance, release: Release, capfd: pytest.CaptureFixture[str]
) -> None:
    release.publish("one", FAILING)
    assert boot(program, instance) == 1
    printed = capfd.readouterr().out
    line = next(line for line in printed.splitlines() if "step=thing_service result=failed" in line)
    assert line.endswith("cause=Break it: the disk is full")
    assert "step=converge result=failed" in printed
    wait_until(lambda: instance.state() in ("Terminating", "Terminating:Wait", "gone"))

    results = {step["step"]: step["result"] for step in timeline(program)["steps"]}
    assert results["thing_install"] == results["thing_configure"] == "ok"
    assert (results["thing_service"], timeline(program)["result"]) == ("failed", "failed")

    assert boot(program, instance) == 1
    assert "the launch was already reported: ABANDON" in capfd.readouterr().out


def test_failed_later_boot_does_not_abandon_an_instance_in_service(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    release.publish("one")
    assert boot(program, instance) == 0
    wait_until(lambda: instance.state() == "InService")
    (program.WORK / "launch").unlink()  # not even without its record of the report
    release.publish("two", FAILING)
    assert boot(program, instance) == 1
    assert instance.state() == "InService"


def test_archive_with_another_digest_is_deleted(
    program: ModuleType, instance: Instance, release: Release, capfd: pytest.CaptureFixture[str]
) -> None:
    digest = release.publish("one")
    known = json.loads(instance.description.read_text())
    other, key = "f" * 64, known["collection_key"]
    source = {"Bucket": known["artifact_bucket"], "Key": key.replace("{collection_sha256}", digest)}
    target = key.replace("{collection_sha256}", other)
    instance.aws("s3").copy_object(Bucket=known["artifact_bucket"], Key=target, CopySource=source)
    release.point_at("one", other)
    assert boot(program, instance) == 1
    printed = capfd.readouterr().out
    assert re.search(
        rf"step=collection result=failed .* cause=s3://\S+ has sha256 {digest}, the release has f+$", printed, re.M
    )
    assert not program.COLLECTIONS.exists()
    assert not (program.WORK / "collection.tar.gz").exists()
    assert release.stages() == []


def test_missing_archive_is_reported(
    program: ModuleType, instance: Instance, release: Release, capfd: pytest.CaptureFixture[str]
) -> None:
    digest = release.publish("one", put=False)
    assert boot(program, instance) == 1
    known = json.loads(instance.description.read_text())
    source = f"s3://{known['artifact_bucket']}/collections/{digest}.tar.gz"
    assert "step=collection result=failed seconds=" in (printed := capfd.readouterr().out)
    assert f"cause={source}: " in printed


@pytest.mark.parametrize("digest", ["", "latest", None])
def test_description_without_collection_is_reported(
    program: ModuleType, instance: Instance, capfd: pytest.CaptureFixture[str], digest: str | None
) -> None:
    instance.change(release="one", collection_sha256=digest)
    assert boot(program, instance) == 1
    printed = capfd.readouterr()
    line = next(line for line in printed.out.splitlines() if "step=release result=failed" in line)
    assert line.endswith("cause=the instance's description has no collection: run the deploy again")
    assert "Traceback" not in printed.out + printed.err
    wait_until(lambda: instance.state() in ("Terminating", "Terminating:Wait", "gone"))


def test_missing_metadata_service_is_reported_with_the_hook_timeout(
    program: ModuleType, instance: Instance, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "METADATA", "http://127.0.0.1:9")  # the discard port: no program listens
    assert boot(program, instance) == 1
    printed = capfd.readouterr().out
    assert "step=identity result=failed" in printed
    assert "its lifecycle hook will time out" in printed
    assert instance.state() == "Pending:Wait"


def test_unit_does_nothing_after_a_successful_boot(program: ModuleType, instance: Instance, release: Release) -> None:
    release.publish("one")
    assert boot(program, instance, "--once-a-boot") == 0
    assert boot(program, instance, "--once-a-boot") == 0
    assert release.stages() == WHOLE
    program.ENDED_WELL.unlink()
    assert boot(program, instance, "--once-a-boot") == 0
    assert release.stages() == [*WHOLE, "configure"]


def test_concurrent_boots_wait_for_each_other(program: ModuleType, instance: Instance, release: Release) -> None:
    release.publish("one")
    program.WORK.mkdir(exist_ok=True)
    with (program.WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = Thread(target=boot, args=(program, instance))
        running.start()
        running.join(2)
        assert running.is_alive()
        assert not (program.WORK / "timeline.json").exists(), "its first step ends at once"
    running.join(60)
    assert release.stages() == WHOLE


def test_role_can_run_prerequisites_during_a_boot(program: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    program.WORK.mkdir(exist_ok=True)
    with (program.WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = Thread(target=program.main, args=(["--prerequisites"],), daemon=True)
        running.start()
        running.join(20)
        assert not running.is_alive(), "it waits for the boot that waits for it"
    assert capfd.readouterr().out == "unchanged\n"


def test_instance_without_waiting_hook_boots_without_report(
    program: ModuleType, instance: Instance, release: Release, capfd: pytest.CaptureFixture[str]
) -> None:
    release.publish("one")
    instance.aws("autoscaling").complete_lifecycle_action(
        AutoScalingGroupName=instance.group,
        InstanceId=instance.id,
        LifecycleActionResult="CONTINUE",
        LifecycleHookName="instance-ready",
    )
    wait_until(lambda: instance.state() == "InService")
    assert boot(program, instance) == 0
    assert "no hook waits for a report: this instance is InService" in capfd.readouterr().out


def test_saved_query_finds_the_line_of_each_step(
    program: ModuleType, instance: Instance, release: Release, capfd: pytest.CaptureFixture[str]
) -> None:
    release.publish("one", FAILING)
    boot(program, instance)
    query = (locate().terraform / "modules" / "observability" / "queries.tf").read_text()
    wanted = re.findall(r"@message like /(.+?)/(?= and|\n)", query)
    parse = re.search(r"parse @message /(.+)/", query)
    assert wanted
    assert parse is not None
    lines = [line for line in capfd.readouterr().out.splitlines() if all(re.search(each, line) for each in wanted)]
    found = [re.search(parse[1].replace("?<", "?P<"), line) for line in lines]
    assert {match["step"] for match in found if match} == {"thing_service", "converge"}


def test_hard_coded_names_match_the_contract() -> None:
    contract = load(locate().contract)
    text = PROGRAM.read_text()
    assert f'INSTANCE = "{contract.boot.description}"' in text
    playbook = re.search(r'PLAYBOOK = "ollama\.gpu\.(\w+)"', text)
    assert playbook is not None
    assert (source(locate().repository) / "playbooks" / f"{playbook[1]}.yml").is_file()
    assert Path(contract.boot.program).name == PROGRAM.name
