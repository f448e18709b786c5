"""The adapter against the real Terraform; `terraform_data` is built in, so no provider is needed."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.progress import NoProgress, PlainProgress, ProgressView
from ollama_gpu.terraform.adapter import Terraform
from ollama_gpu.terraform.installation import find_provider_mirrors

DEADLINE = 30.0
# Waits until the test makes the file, so that an apply can be watched in the middle.
SLOW = """
resource "terraform_data" "quick" {}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.quick]
  provisioner "local-exec" {
    command = "touch started; until [ -e go ]; do sleep 0.05; done"
  }
}
"""
SIZED = """
variable "size" {
  type = number
  validation {
    condition     = var.size > 1
    error_message = "size must be 2 or more: raise size."
  }
}
resource "terraform_data" "this" {
  count            = 3
  input            = var.size
  triggers_replace = var.size > 5
  lifecycle {
    precondition {
      condition     = var.size < 10
      error_message = "size must be below 10: lower size."
    }
  }
}
output "size" { value = var.size }
"""


def terraform(root: Path, view: ProgressView | None = None, **environment: str) -> Terraform:
    folder = root / "terraform"
    return Terraform(folder, root / "data", root / "logs", environment, view or NoProgress(), "dev")


def configure(root: Path, text: str, **variables: object) -> Path:
    (root / "terraform").mkdir(exist_ok=True)
    (root / "terraform" / "main.tf").write_text(text)
    values = root / "dev.tfvars"
    values.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in variables.items()))
    return values


def actions(root: Path, plan: Path) -> list[list[str]]:
    """What Terraform says that a saved plan does, resource by resource."""
    command = ["terraform", f"-chdir={root / 'terraform'}", "show", "-json", str(plan)]
    shown = subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "TF_DATA_DIR": str(root / "data")}
    )
    return [entry["change"]["actions"] for entry in json.loads(shown.stdout)["resource_changes"]]


@contextmanager
def refused(*parts: str, status: int) -> Iterator[None]:
    with pytest.raises(UserError) as error:
        yield
    for part in parts:
        assert part in str(error.value)
    assert error.value.status == status


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_plan_apply_and_an_empty_second_plan(tmp_path: Path) -> None:
    values, plan = configure(tmp_path, SIZED, size=2), tmp_path / "plans" / "plan"
    stream = io.StringIO()
    this = terraform(tmp_path, PlainProgress(stream=stream))
    this.init({})
    this.validate()
    assert this.output() == {}
    assert this.state_list() == []

    first = this.plan(plan, [values])
    assert first.changes
    assert first.review.counts == {"create": 3}
    assert actions(tmp_path, plan) == [["create"]] * 3
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600

    applied = this.apply(plan)
    assert (applied.added, applied.changed, applied.destroyed) == (3, 0, 0)
    assert this.output() == {"size": 2}
    assert this.state_list() == [f"terraform_data.this[{number}]" for number in range(3)]

    second = this.plan(plan, [values])
    assert not second.changes
    assert second.review.empty
    assert "apply: done, 3 added, 0 changed, 0 destroyed" in stream.getvalue()


def test_a_replacement_and_a_destruction_are_named(tmp_path: Path) -> None:
    values, plan = configure(tmp_path, SIZED, size=2), tmp_path / "plan"
    this = terraform(tmp_path)
    this.init({})
    this.plan(plan, [values])
    this.apply(plan)
    configure(tmp_path, SIZED.replace("count            = 3", "count = 2"), size=7)
    review = this.plan(plan, [values]).review
    assert review.replaced == ("terraform_data.this[0]", "terraform_data.this[1]")
    assert review.destroyed == ("terraform_data.this[2]",)
    assert review.outputs_changed == ("size",)
    assert actions(tmp_path, plan) == [["delete", "create"]] * 2 + [["delete"]]
    assert this.plan(plan, [values], destroy=True).review.counts == {"delete": 3}


def test_a_refused_variable_and_a_failed_precondition_speak_for_themselves(tmp_path: Path) -> None:
    this = terraform(tmp_path)
    values = configure(tmp_path, SIZED, size=1)
    this.init({})
    with refused("size: size must be 2 or more: raise size. (dev.tfvars:1)", status=2):
        this.plan(tmp_path / "plan", [values])
    configure(tmp_path, SIZED, size=10)
    with refused("size must be below 10: lower size. (terraform/main.tf:", status=2):
        this.plan(tmp_path / "plan", [values])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('size = "many"\n', ("a number is required", "dev.tfvars:1")),
        ("size = \n", ("dev.tfvars:1",)),
        ("", ("The variable size has no value: set it for dev",)),
        (None, ("dev.tfvars does not exist",)),
    ],
)
def test_bad_variable_files_are_one_clear_message(tmp_path: Path, text: str | None, parts: tuple[str, ...]) -> None:
    values = configure(tmp_path, SIZED)
    this = terraform(tmp_path)
    this.init({})
    if text is None:
        values.unlink()
    else:
        values.write_text(text)
    with refused(*parts, status=2):
        this.plan(tmp_path / "plan", [values])


def test_a_variable_that_nobody_declared_is_warned_about(tmp_path: Path) -> None:
    values = configure(tmp_path, SIZED, size=2, sizee=3)
    stream = io.StringIO()
    this = terraform(tmp_path, PlainProgress(stream=stream))
    this.init({})
    (warning,) = this.plan(tmp_path / "plan", [values]).warnings
    assert '"sizee"' in warning
    assert warning in stream.getvalue()


def test_an_invalid_configuration_names_file_and_line(tmp_path: Path) -> None:
    configure(tmp_path, 'resource "terraform_data" "x" {\n  inputt = 1\n}\n')
    this = terraform(tmp_path)
    this.init(None)
    with refused("Unsupported argument (terraform/main.tf:2)", "Did you mean", status=1):
        this.validate()


def test_a_provider_that_cannot_be_had_names_the_way_out(tmp_path: Path) -> None:
    configure(tmp_path, 'terraform {\n  required_providers {\n    x = { source = "127.0.0.1:1/a/x" }\n  }\n}\n')
    with refused("The provider 127.0.0.1:1/a/x cannot be had", "OLLAMA_GPU_PROVIDER_MIRROR", status=1):
        terraform(tmp_path).init({})


def test_a_plan_made_before_the_state_changed_is_not_applied(tmp_path: Path) -> None:
    values, plan = configure(tmp_path, SIZED, size=2), tmp_path / "plan"
    this = terraform(tmp_path)
    this.init({})
    this.plan(plan, [values])
    this.apply(plan)
    with refused("so it was not applied", "make plan ENV=dev", status=1):
        this.apply(plan)


def test_each_run_leaves_a_private_log_and_no_output_values_of_reads(tmp_path: Path) -> None:
    values, plan = configure(tmp_path, SIZED, size=2), tmp_path / "plan"
    this = terraform(tmp_path, SECRET_THING="hunter2")
    this.init({})
    log = this.plan(plan, [values]).log
    this.output()
    assert '"type":"planned_change"' in log.read_text()
    logs = sorted((tmp_path / "logs").iterdir())
    assert [path.name.partition("-")[2] for path in logs] == ["init.jsonl", "plan.jsonl", "output.jsonl"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in logs} == {0o600}
    assert not any("hunter2" in path.read_text() for path in logs)
    assert len(logs[-1].read_text().splitlines()) == 2  # the command and its status


def test_the_shells_own_settings_do_not_steer_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = configure(tmp_path, SIZED, size=2)
    monkeypatch.setenv("TF_CLI_ARGS_plan", "-destroy")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "gone"))
    stream = io.StringIO()
    this = terraform(tmp_path, PlainProgress(stream=stream))
    this.init({})
    assert this.plan(tmp_path / "plan", [values]).review.counts == {"create": 3}
    assert stream.getvalue().count("ignored from the shell's environment: TF_CLI_ARGS_plan") == 1


def test_state_moves_into_a_backend_that_is_added_later(tmp_path: Path) -> None:
    values, plan = configure(tmp_path, SIZED, size=2), tmp_path / "plan"
    this = terraform(tmp_path)
    this.init({})
    this.plan(plan, [values])
    this.apply(plan)
    (tmp_path / "terraform" / "backend.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    this.init({"path": str(tmp_path / "moved.tfstate")}, migrate_state=True)
    assert (tmp_path / "moved.tfstate").exists()
    assert not (tmp_path / "terraform" / ".terraform").exists()  # the data folder is the environment's own
    assert len(this.state_list()) == 3
    backend = tmp_path / "dev.backend.hcl"
    backend.write_text(f'path = "{tmp_path}/moved.tfstate"\n')
    this.init([backend])
    assert len(this.state_list()) == 3


def test_a_view_whose_terminal_is_gone_does_not_stop_the_apply(tmp_path: Path) -> None:
    class Gone(NoProgress):
        def tick(self) -> None:
            raise BrokenPipeError

    values, plan = configure(tmp_path, SIZED, size=2), tmp_path / "plan"
    this = terraform(tmp_path, Gone())
    this.init({})
    this.plan(plan, [values])
    assert this.apply(plan).added == 3


@pytest.mark.parametrize("text", ["1.10.5", "1.11.4"])
def test_the_version_is_checked_and_told(tmp_path: Path, text: str) -> None:
    configure(tmp_path, "")
    fake = tmp_path / "terraform-fake"
    fake.write_text(f"""#!/bin/sh\necho '{{"terraform_version": "{text}", "provider_selections": {{"a": "1"}}}}'\n""")
    fake.chmod(0o755)
    this = Terraform(tmp_path, tmp_path / "d", tmp_path / "logs", {}, NoProgress(), "dev", str(fake))
    if text == "1.10.5":
        with refused("Terraform 1.10.5", str(fake), "too old", "1.11", status=1):
            this.version()
    else:
        assert (this.version().terraform, this.version().providers) == (text, {"a": "1"})


def test_a_missing_terraform_is_one_message(tmp_path: Path) -> None:
    with refused("Terraform was not found", str(tmp_path / "none"), "1.11", status=1):
        Terraform(tmp_path, tmp_path, tmp_path, {}, NoProgress(), "dev", str(tmp_path / "none"))


# What a driver does, in a process of its own, so that it can be sent signals.
DRIVER = """
import signal, sys
from pathlib import Path
from ollama_gpu.errors import UserError
from ollama_gpu.progress import PlainProgress
from ollama_gpu.terraform.adapter import Terraform
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test runner in the background ignores it
root = Path(sys.argv[1])
try:
    Terraform(root / 'terraform', root / 'data', root / 'logs', {}, PlainProgress(), 'dev').apply(root / 'plan')
except UserError as error:
    print(error, file=sys.stderr)
    sys.exit(error.status)
"""


@pytest.fixture
def applying(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A driver in the middle of an apply: `quick` is made, `slow` is waiting for the file `go`."""
    configure(tmp_path, SLOW)
    this = terraform(tmp_path)
    this.init({})
    this.plan(tmp_path / "plan", [])
    argv = [sys.executable, "-c", DRIVER, str(tmp_path)]
    driver = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for((tmp_path / "terraform" / "started").exists)
        yield driver
    finally:
        (tmp_path / "terraform" / "go").touch()
        driver.kill() if driver.poll() is None else None
        driver.communicate(timeout=DEADLINE)


def lock_file(root: Path) -> Path:
    return root / "terraform" / ".terraform.tfstate.lock.info"


def state_addresses(root: Path) -> list[str]:
    state = json.loads((root / "terraform" / "terraform.tfstate").read_text())
    return [each["name"] for each in state["resources"]]


def test_a_state_that_is_locked_names_the_holder_and_how_to_release_it(
    tmp_path: Path, applying: subprocess.Popen[str]
) -> None:
    assert applying.poll() is None
    lock_id = json.loads(lock_file(tmp_path).read_text())["ID"]
    with refused("The state of dev is locked by", ": apply, since", f"make unlock ENV=dev LOCK={lock_id}", status=1):
        terraform(tmp_path).plan(tmp_path / "second", [])


def test_a_lock_timeout_waits_for_the_other_run(tmp_path: Path, applying: subprocess.Popen[str]) -> None:
    class Releases(NoProgress):
        def tick(self) -> None:
            (tmp_path / "terraform" / "go").touch()

    assert not terraform(tmp_path, Releases()).plan(tmp_path / "second", [], lock_timeout_seconds=60).changes
    assert applying.wait(DEADLINE) == 0


@pytest.mark.parametrize("each", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_the_apply_in_good_order(
    tmp_path: Path, applying: subprocess.Popen[str], each: signal.Signals
) -> None:
    os.killpg(applying.pid, each)  # the whole group, as a terminal does
    _, shown = applying.communicate(timeout=DEADLINE)
    assert applying.returncode == 130
    assert "Stopping after the operations in flight; the state lock is released then." in shown
    assert "What was finished is in the state, and its lock is released." in shown
    assert "make deploy ENV=dev" in shown
    (log,) = (tmp_path / "logs").glob("*-apply.jsonl")
    assert log.read_text().count("Interrupt received") == 1
    assert "Two interrupts received" not in log.read_text()
    assert not lock_file(tmp_path).exists()
    assert "quick" in state_addresses(tmp_path)

    (tmp_path / "terraform" / "go").touch()
    this = terraform(tmp_path)
    assert this.plan(tmp_path / "again", []).changes
    this.apply(tmp_path / "again")
    assert this.state_list() == ["terraform_data.quick", "terraform_data.slow"]


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="only setpriv (util-linux) ties Terraform to its driver")
def test_a_killed_driver_leaves_neither_an_orphan_nor_a_lock(tmp_path: Path, applying: subprocess.Popen[str]) -> None:
    applying.kill()
    applying.wait(DEADLINE)
    wait_for(lambda: not lock_file(tmp_path).exists())
    assert "quick" in state_addresses(tmp_path)


def test_the_aws_provider_comes_from_a_mirror_without_the_registry(tmp_path: Path) -> None:
    mirrors = find_provider_mirrors(tmp_path / "work", os.environ)
    if mirrors.source == "none":
        pytest.skip("no provider mirror on this machine")
    configure(tmp_path, 'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n')
    this = terraform(tmp_path, None, **mirrors.environment)
    this.init({})
    (version,) = this.version().providers.values()
    assert version.startswith("5.")
