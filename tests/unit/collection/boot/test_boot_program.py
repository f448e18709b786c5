"""What an instance does from its release to the report that it is ready, against a real AWS API and a real Ansible."""

from __future__ import annotations

import fcntl
import json
import re
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest

from ollama_gpu.collection import source
from ollama_gpu.contract import load
from ollama_gpu.paths import locate

from .conftest import PROGRAM, Instance, Release, wait_until

FAILING = """
- {name: Break it, ansible.builtin.fail: {msg: "the disk is\\nfull"}, tags: [thing_service, service]}
"""


def timeline(program: ModuleType) -> dict[str, Any]:
    written: dict[str, Any] = json.loads((program.WORK / "timeline.json").read_text())
    return written


def boot(program: ModuleType, instance: Instance, *options: str) -> int:
    return int(program.main([*options, str(instance.description)]))


def test_a_stock_instance_converges_to_the_release_and_reports_ready_once(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    digest = release.publish("one")
    assert boot(program, instance) == 0
    assert release.stages() == ["install", "configure"]
    wait_until(lambda: instance.state() == "InService")

    # and a later boot of the same release needs nothing from outside
    program.ENDED_WELL.unlink()
    known = json.loads(instance.description.read_text())
    instance.aws("s3").delete_object(Bucket=known["artifact_bucket"], Key=f"collections/{digest}.tar.gz")
    assert boot(program, instance) == 0
    assert release.stages() == ["install", "configure", "configure"]
    assert instance.state() == "InService"


def test_a_baked_image_of_the_release_runs_only_what_boot_decides(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    digest = release.publish("one", put=False)  # nothing is there to be fetched
    assert program.main(["--unpack", str(release.archive("one"))]) == 0
    program.IMAGE.write_text(json.dumps({"collection_sha256": digest}))
    assert boot(program, instance) == 0
    assert release.stages() == ["configure"]
    wait_until(lambda: instance.state() == "InService")


def test_an_image_of_another_release_runs_the_whole_play(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    program.IMAGE.write_text(json.dumps({"collection_sha256": "0" * 64}))
    release.publish("one")
    assert boot(program, instance) == 0
    assert release.stages() == ["install", "configure"]


def test_after_a_whole_play_that_broke_off_the_old_release_is_installed_again(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    old = release.publish("old")
    assert boot(program, instance) == 0
    release.publish("new", FAILING)
    assert boot(program, instance) == 1
    release.point_at("old", old)
    assert boot(program, instance) == 0
    assert release.stages() == ["install", "configure"] * 3


def test_a_failing_task_is_named_with_its_cause_and_gives_the_launch_up_once(
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
    assert "the launch was reported before: ABANDON" in capfd.readouterr().out


def test_a_later_boot_that_fails_does_not_give_up_an_instance_in_service(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    release.publish("one")
    assert boot(program, instance) == 0
    wait_until(lambda: instance.state() == "InService")
    (program.WORK / "launch").unlink()  # not even when it has forgotten that it reported
    release.publish("two", FAILING)
    assert boot(program, instance) == 1
    assert instance.state() == "InService"


def test_an_archive_that_is_not_the_releases_is_neither_kept_nor_unpacked(
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
        rf"step=collection result=failed .* cause=s3://\S+ has sha256 {digest}, the release says f+$", printed, re.M
    )
    assert not program.COLLECTIONS.exists()
    assert not (program.WORK / "collection.tar.gz").exists()
    assert release.stages() == []


def test_an_archive_that_is_not_there_is_named(
    program: ModuleType, instance: Instance, release: Release, capfd: pytest.CaptureFixture[str]
) -> None:
    digest = release.publish("one", put=False)
    assert boot(program, instance) == 1
    known = json.loads(instance.description.read_text())
    source = f"s3://{known['artifact_bucket']}/collections/{digest}.tar.gz"
    assert "step=collection result=failed seconds=" in (printed := capfd.readouterr().out)
    assert f"cause={source}: " in printed


@pytest.mark.parametrize("digest", ["", "latest", None])
def test_a_description_that_names_no_collection_is_said_in_a_sentence(
    program: ModuleType, instance: Instance, capfd: pytest.CaptureFixture[str], digest: str | None
) -> None:
    instance.change(release="one", collection_sha256=digest)
    assert boot(program, instance) == 1
    printed = capfd.readouterr()
    line = next(line for line in printed.out.splitlines() if "step=release result=failed" in line)
    assert line.endswith("cause=the instance's description names no collection: run the deploy again")
    assert "Traceback" not in printed.out + printed.err
    wait_until(lambda: instance.state() in ("Terminating", "Terminating:Wait", "gone"))


def test_without_a_metadata_service_it_says_that_the_hook_will_time_out(
    program: ModuleType, instance: Instance, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "METADATA", "http://127.0.0.1:9")  # discard: nobody listens
    assert boot(program, instance) == 1
    printed = capfd.readouterr().out
    assert "step=identity result=failed" in printed
    assert "its lifecycle hook will time out" in printed
    assert instance.state() == "Pending:Wait"


def test_the_unit_leaves_a_boot_alone_that_has_ended_well(
    program: ModuleType, instance: Instance, release: Release
) -> None:
    release.publish("one")
    assert boot(program, instance, "--once-a-boot") == 0
    assert boot(program, instance, "--once-a-boot") == 0
    assert release.stages() == ["install", "configure"]
    program.ENDED_WELL.unlink()
    assert boot(program, instance, "--once-a-boot") == 0
    assert release.stages() == ["install", "configure", "configure"]


def test_two_at_once_wait_for_each_other(program: ModuleType, instance: Instance, release: Release) -> None:
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
    assert release.stages() == ["install", "configure"]


def test_a_role_may_ask_the_program_for_its_prerequisites_within_a_boot(
    program: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    program.WORK.mkdir(exist_ok=True)
    with (program.WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = Thread(target=program.main, args=(["--prerequisites"],), daemon=True)
        running.start()
        running.join(20)
        assert not running.is_alive(), "it waits for the boot that waits for it"
    assert capfd.readouterr().out == "unchanged\n"


def test_an_instance_that_nobody_waits_for_boots_and_reports_to_nobody(
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
    assert "nobody waits for a report: this instance is InService" in capfd.readouterr().out


def test_each_step_is_a_line_that_the_saved_query_finds(
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


def test_the_names_that_the_program_cannot_read_are_the_contracts() -> None:
    contract = load(locate().contract)
    text = PROGRAM.read_text()
    assert f'INSTANCE = "{contract.boot.description}"' in text
    playbook = re.search(r'PLAYBOOK = "ollama\.gpu\.(\w+)"', text)
    assert playbook is not None
    assert (source(locate().repository) / "playbooks" / f"{playbook[1]}.yml").is_file()
    assert Path(contract.boot.program).name == PROGRAM.name
