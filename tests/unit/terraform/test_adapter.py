"""The adapter with Terraform itself; `terraform_data` is built in and needs no provider."""

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

from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.adapter import Terraform
from ollama_gpu.terraform.installation import find_provider_mirrors
from ollama_gpu.terraform.progress import NoProgress, PlainProgress, ProgressView

DEADLINE = 30.0
# Waits until the test creates the file `go`, so that the test can act during an apply.
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
    """The actions in a saved plan, per resource, according to Terraform."""
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


def test_second_plan_after_an_apply_is_empty(tmp_path: Path) -> None:
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

    this.apply(plan)
    assert this.output() == {"size": 2}
    assert this.state_list() == [f"terraform_data.this[{number}]" for number in range(3)]

    second = this.plan(plan, [values])
    assert not second.changes
    assert second.review.empty
    assert "apply: done, 3 added, 0 changed, 0 destroyed" in stream.getvalue()


def test_review_names_replaced_and_destroyed_resources(tmp_path: Path) -> None:
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


def test_invalid_value_and_failed_precondition_show_their_error_messages(tmp_path: Path) -> None:
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
        ("", ("The variable size has no value. Set it for dev",)),
        (None, ("dev.tfvars does not exist",)),
    ],
)
def test_invalid_variables_file_is_one_error(tmp_path: Path, text: str | None, parts: tuple[str, ...]) -> None:
    values = configure(tmp_path, SIZED)
    this = terraform(tmp_path)
    this.init({})
    if text is None:
        values.unlink()
    else:
        values.write_text(text)
    with refused(*parts, status=2):
        this.plan(tmp_path / "plan", [values])


def test_undeclared_variable_gives_a_warning(tmp_path: Path) -> None:
    values = configure(tmp_path, SIZED, size=2, sizee=3)
    stream = io.StringIO()
    this = terraform(tmp_path, PlainProgress(stream=stream))
    this.init({})
    this.plan(tmp_path / "plan", [values])
    (warning,) = (line for line in stream.getvalue().splitlines() if line.startswith("warning: "))
    assert '"sizee"' in warning


def test_invalid_configuration_is_reported_with_file_and_line(tmp_path: Path) -> None:
    configure(tmp_path, 'resource "terraform_data" "x" {\n  inputt = 1\n}\n')
    this = terraform(tmp_path)
    this.init({})
    with refused("Unsupported argument (terraform/main.tf:2)", "Did you mean", status=1):
        this.validate()


def test_unavailable_provider_has_a_mirror_as_remedy(tmp_path: Path) -> None:
    configure(tmp_path, 'terraform {\n  required_providers {\n    x = { source = "127.0.0.1:1/a/x" }\n  }\n}\n')
    with refused("The provider 127.0.0.1:1/a/x is not available", "OLLAMA_GPU_PROVIDER_MIRROR", status=1):
        terraform(tmp_path).init({})


def test_plan_from_before_a_state_change_is_not_applied(tmp_path: Path) -> None:
    values, plan = configure(tmp_path, SIZED, size=2), tmp_path / "plan"
    this = terraform(tmp_path)
    this.init({})
    this.plan(plan, [values])
    this.apply(plan)
    with refused("The plan was not applied", "make plan ENV=dev", status=1):
        this.apply(plan)


def test_logs_are_private_and_contain_no_output_values(tmp_path: Path) -> None:
    values, plan = configure(tmp_path, SIZED, size=2), tmp_path / "plan"
    this = terraform(tmp_path, SECRET_THING="hunter2")
    this.init({})
    this.plan(plan, [values])
    this.output()
    logs = sorted((tmp_path / "logs").iterdir())
    assert '"type":"planned_change"' in logs[1].read_text()
    assert [path.name.partition("-")[2] for path in logs] == ["init.jsonl", "plan.jsonl", "output.jsonl"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in logs} == {0o600}
    assert not any("hunter2" in path.read_text() for path in logs)
    assert len(logs[-1].read_text().splitlines()) == 2  # the command and its status


def test_terraform_settings_of_the_shell_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = configure(tmp_path, SIZED, size=2)
    monkeypatch.setenv("TF_CLI_ARGS_plan", "-destroy")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "gone"))
    stream = io.StringIO()
    this = terraform(tmp_path, PlainProgress(stream=stream))
    this.init({})
    assert this.plan(tmp_path / "plan", [values]).review.counts == {"create": 3}
    assert stream.getvalue().count("ignored these environment variables: TF_CLI_ARGS_plan") == 1


def test_state_is_migrated_to_a_new_backend(tmp_path: Path) -> None:
    values, plan = configure(tmp_path, SIZED, size=2), tmp_path / "plan"
    this = terraform(tmp_path)
    this.init({})
    this.plan(plan, [values])
    this.apply(plan)
    (tmp_path / "terraform" / "backend.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    this.init({"path": str(tmp_path / "moved.tfstate")}, migrate_state=True)
    assert (tmp_path / "moved.tfstate").exists()
    assert not (tmp_path / "terraform" / ".terraform").exists()  # TF_DATA_DIR is used instead
    assert len(this.state_list()) == 3


def test_closed_terminal_does_not_stop_the_apply(tmp_path: Path) -> None:
    class Gone(NoProgress):
        def tick(self) -> None:
            raise BrokenPipeError

    values, plan = configure(tmp_path, SIZED, size=2), tmp_path / "plan"
    this = terraform(tmp_path, Gone())
    this.init({})
    this.plan(plan, [values])
    this.apply(plan)
    assert len(this.state_list()) == 3


@pytest.mark.parametrize("text", ["1.10.5", "1.11.4"])
def test_old_version_is_refused(tmp_path: Path, text: str) -> None:
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


def test_missing_terraform_is_one_error(tmp_path: Path) -> None:
    with refused("Terraform was not found", str(tmp_path / "none"), "1.11", status=1):
        Terraform(tmp_path, tmp_path, tmp_path, {}, NoProgress(), "dev", str(tmp_path / "none"))


# A driver in a separate process, so that the test can send it signals.
DRIVER = """
import signal, sys
from pathlib import Path
from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.progress import PlainProgress
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
    """A driver during an apply: `quick` is created, `slow` waits for the file `go`."""
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


def test_locked_state_names_the_holder_and_the_unlock_command(tmp_path: Path, applying: subprocess.Popen[str]) -> None:
    assert applying.poll() is None
    lock_id = json.loads(lock_file(tmp_path).read_text())["ID"]
    with refused("The state of dev is locked by", ": apply, since", f"make unlock ENV=dev LOCK={lock_id}", status=1):
        terraform(tmp_path).plan(tmp_path / "second", [])


@pytest.mark.parametrize("each", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_the_apply_gracefully(
    tmp_path: Path, applying: subprocess.Popen[str], each: signal.Signals
) -> None:
    os.killpg(applying.pid, each)  # the whole group, as a terminal does
    _, shown = applying.communicate(timeout=DEADLINE)
    assert applying.returncode == 130
    assert "Stopping after the running operations, then releasing the state lock." in shown
    assert "Completed changes are in the state, and the state lock is released." in shown
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


@pytest.mark.skipif(
    shutil.which("setpriv") is None, reason="needs setpriv (util-linux) to stop Terraform with its driver"
)
def test_killed_driver_leaves_no_orphan_and_no_lock(tmp_path: Path, applying: subprocess.Popen[str]) -> None:
    applying.kill()
    applying.wait(DEADLINE)
    wait_for(lambda: not lock_file(tmp_path).exists())
    assert "quick" in state_addresses(tmp_path)


def test_aws_provider_is_installed_from_a_mirror(tmp_path: Path) -> None:
    mirrors = find_provider_mirrors(tmp_path / "work", os.environ)
    if mirrors.source == "none":
        pytest.skip("no provider mirror on this machine")
    configure(tmp_path, 'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n')
    this = terraform(tmp_path, None, **mirrors.environment)
    this.init({})
    (version,) = this.version().providers.values()
    assert version.startswith("5.")
