"""Known failures of Terraform become one message with a remedy.

The diagnostics are output of Terraform 1.11.4; test_adapter.py and test_state.py produce the same failures with
Terraform itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.causes import Context
from ollama_gpu.terraform.errors import Interrupted, explain, unexplained, warnings
from ollama_gpu.terraform.events import Diagnostic

LOG = Path("/var/logs/run.jsonl")
LOCK = """Error message: operation error S3: PutObject, https response error StatusCode: 412, api error
Lock Info:
  ID:        4a37f7df-0ab6-17a5-e9e1-0e1d6c2ba2ab
  Path:      state/k
  Operation: OperationTypeApply
  Who:       ann@laptop
  Version:   1.11.4
  Created:   2026-11-23 00:45:09.6 +0000 UTC
  Info:

Terraform acquires a state lock to protect the state from being written"""
DISCOVERY = (
    "Could not retrieve the list of available versions for provider hashicorp/aws: could not connect to "
    "registry.example.org: failed to request discovery document: dial tcp: lookup registry.example.org: no such host"
)


def explained(*diagnostics: Diagnostic, endpoint: str = "") -> UserError:
    return explain(diagnostics, Context("dev", "plan", Path("/repo/terraform"), LOG, endpoint))


def error(summary: str, detail: str = "", **fields: object) -> Diagnostic:
    return Diagnostic("error", summary, detail, **fields)  # type: ignore[arg-type]


def test_locked_state_names_the_holder_and_the_unlock_command() -> None:
    found = explained(error("Error acquiring the state lock", LOCK))
    assert found.message == (
        "The state of dev is locked by ann@laptop: apply, since 2026-11-23 00:45:09 UTC "
        "(lock 4a37f7df-0ab6-17a5-e9e1-0e1d6c2ba2ab)."
    )
    assert "make unlock ENV=dev LOCK=4a37f7df-0ab6-17a5-e9e1-0e1d6c2ba2ab" in found.remedy


def test_missing_state_bucket_has_bootstrap_as_remedy() -> None:
    found = explained(error('Failed to get existing workspaces: S3 bucket "b-1" does not exist.\n\nThe referenced'))
    assert found.message == "The state bucket b-1 does not exist."
    assert "make bootstrap ENV=dev" in found.remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("No valid credential sources found", "no AWS credentials for dev"),
        ("api error ExpiredToken: The provided token has expired.", "have expired"),
        ("refresh cached SSO token failed, unable to refresh SSO token", "have expired"),
        (
            "api error InvalidClientTokenId: The security token is invalid",
            "rejected .* (InvalidClientTokenId)",
        ),
        ("failed to get shared config profile, nobody", "profile, nobody"),
    ],
)
def test_missing_expired_and_rejected_credentials_have_different_messages(text: str, message: str) -> None:
    found = explained(error("validating provider credentials", text))
    assert all(part in found.message for part in message.split(" .* "))
    assert found.remedy
    assert found.status == 1


def test_unreachable_registry_is_not_reported_as_unreachable_aws() -> None:
    found = explained(error("Failed to query available provider packages", DISCOVERY))
    assert "hashicorp/aws is not available" in found.message
    assert "OLLAMA_GPU_PROVIDER_MIRROR" in found.remedy


def test_mirror_without_the_required_version_is_reported() -> None:
    text = (
        "Could not retrieve the list of available versions for provider hashicorp/aws: no available releases "
        "match the given constraints ~> 6.0\n\nTo see which modules"
    )
    found = explained(error("Failed to query available provider packages", text))
    assert found.message.endswith("no available releases match the given constraints ~> 6.0")


UNREACHABLE = (
    "operation error STS: GetCallerIdentity, exceeded maximum number of attempts, 5, https response error "
    'StatusCode: 0, RequestID: , request send failed, Post "http://127.0.0.1:5801/": dial tcp 127.0.0.1:5801: '
    "connect: connection refused"
)


def test_stopped_embedded_aws_and_network_failure_have_different_remedies() -> None:
    local = explained(error(UNREACHABLE), endpoint="http://127.0.0.1:5801")
    assert local.message == "AWS is not reachable at http://127.0.0.1:5801: connection refused."
    assert "Start it: make deploy ENV=dev" in local.remedy
    assert "network" in explained(error(UNREACHABLE)).remedy


def test_invalid_value_is_reported_with_variable_and_line_only() -> None:
    refused = error(
        "Invalid value for variable",
        "min must be 2 or more: raise min.\n\nThis was checked by the validation rule at main.tf:4,2-12.",
        filename="variables.tf",
        line=7,
        variable="fleets",
    )
    found = explained(refused)
    assert str(found) == "fleets: min must be 2 or more: raise min. (terraform/variables.tf:7)"
    assert found.status == 2


def test_failed_precondition_is_reported_with_its_error_message() -> None:
    found = explained(error("Resource precondition failed", "Set domain.", filename="checks.tf", line=3))
    assert str(found) == "Set domain. (terraform/checks.tf:3)"
    assert found.status == 2


def test_missing_value_names_the_variable() -> None:
    found = explained(error("No value for required variable", "long", filename="v.tf", line=1, variable="domain"))
    assert found.message == "The variable domain has no value. Set it for dev (terraform/v.tf:1)."


def test_malformed_variables_file_is_reported_with_its_line() -> None:
    found = explained(error("Missing newline", "Add it.", filename="/repo/terraform/environments/dev.tfvars", line=4))
    assert found.message == "Missing newline (terraform/environments/dev.tfvars:4)\n  Add it."
    assert found.status == 2


def test_three_distinct_errors_are_shown_and_the_others_counted() -> None:
    many = [error("creating thing", f"reason {number // 2}", address=f"a.b[{number // 2}]") for number in range(12)]
    found = explained(*many, error("execution halted"))
    assert found.message.count("creating thing") == 3
    assert found.message.endswith("... and 3 more errors.")
    assert found.remedy == f"Terraform's log: {LOG}"
    assert found.status == 1


def test_common_cause_of_forty_failures_is_reported_once() -> None:
    expired = [error("creating", "api error ExpiredToken: x", address=f"a.b[{number}]") for number in range(40)]
    assert explained(*expired).message == "The AWS credentials for dev have expired."


def test_stale_plan_and_unsaved_state_have_remedies() -> None:
    assert "make plan ENV=dev" in explained(error("Saved plan is stale", "The given plan")).remedy
    assert "errored.tfstate" in explained(error("Failed to persist state to backend", "denied")).remedy


def test_resource_that_exists_but_is_not_in_the_state_has_import_as_remedy() -> None:
    found = explained(
        error(
            "creating IAM Role (ollama-gpu-dev-backup): operation error IAM: CreateRole, StatusCode: 409, "
            "EntityAlreadyExists: Role with name ollama-gpu-dev-backup already exists."
        )
    )
    assert "not in the state of dev" in found.message
    assert "ollama-gpu-dev-backup" in found.message
    assert "terraform import" in found.remedy


def test_follow_up_error_is_shown_if_there_is_no_other() -> None:
    assert explained(error("execution halted")).message == "execution halted"


def test_apply_stopped_immediately_warns_about_lock_and_state() -> None:
    assert str(Interrupted("plan", "dev", hard=False)) == "terraform plan was stopped."
    forced = Interrupted("apply", "dev", hard=True)
    assert "may still be locked. Resources that were being created or changed may be missing" in forced.message
    assert "make plan ENV=dev" in forced.remedy
    assert forced.status == 130


def test_killed_terraform_is_reported_with_the_likely_reason() -> None:
    context = Context("dev", "apply", Path("/repo"), LOG)
    assert "SIGKILL. The kernel does this when memory runs out." in unexplained(-9, context).message
    assert "status 11" in unexplained(11, context).message


def test_each_warning_is_one_line_and_reported_once() -> None:
    context = Context("dev", "plan", Path("/repo/terraform"), LOG)
    warning = Diagnostic("warning", "Value for undeclared variable", 'No "foo"\nhere.\n\nTo silence these')
    assert warnings([warning, warning, error("x")], context) == [
        'warning: Value for undeclared variable: No "foo" here.'
    ]
