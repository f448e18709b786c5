"""The resources of an environment that cost money, from Terraform's own plan.

`terraform test` plans the root module with a mock provider and prints the plan as JSON. This needs the AWS provider but
no credentials, no state and no AWS. The plan takes about 10 s, so the result is cached until Terraform's files, the
contract or the environment's variables change.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ollama_gpu.core import files
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths, make_folder
from ollama_gpu.environment.settings import Environment
from ollama_gpu.terraform.installation import clean_environment, find_provider_mirrors, find_terraform

PRICED = {
    *("aws_autoscaling_group", "aws_autoscaling_policy", "aws_backup_restore_testing_selection"),
    *("aws_cloudwatch_composite_alarm", "aws_cloudwatch_dashboard", "aws_cloudwatch_metric_alarm"),
    *("aws_db_instance", "aws_eip", "aws_elasticache_replication_group", "aws_kms_key", "aws_lb"),
    *("aws_nat_gateway", "aws_secretsmanager_secret", "aws_vpc_endpoint", "aws_wafv2_web_acl"),
}
"""The resource types that `of` reads."""

_SECONDS = 300
_MOCKS = Path("tests") / "mocks"  # below terraform/: what the plan tests use too
_ALARMS_PER_POLICY = 2  # target tracking creates an alarm for scale-out and one for scale-in


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Database(_Frozen):
    instance_class: str
    storage_gib: int
    max_storage_gib: int


class Cache(_Frozen):
    node_type: str
    nodes: int


class Resources(_Frozen):
    """Counts of what is paid for by the month, whether used or not.

    ``interface_endpoints`` counts each endpoint once per zone. ``alarm_metrics`` are the metrics that the alarms read,
    ``scaling_alarm_metrics`` those of target tracking's own alarms: CloudWatch bills an alarm by its metrics.
    """

    fleets: tuple[str, ...]
    databases: tuple[Database, ...]
    caches: tuple[Cache, ...]
    alarm_metrics: int
    composite_alarms: int
    dashboards: int
    interface_endpoints: int
    kms_keys: int
    load_balancers: int
    nat_gateways: int
    public_addresses: int
    restore_tests: int
    scaling_alarm_metrics: int
    secrets: int
    waf_rules: int
    web_acls: int


def of(resources: Iterable[tuple[str, dict[str, Any]]]) -> Resources:
    """Count resources, each a Terraform type and its attributes, from a plan or a state."""
    by_type: dict[str, list[dict[str, Any]]] = {kind: [] for kind in PRICED}
    for kind, attributes in resources:
        if kind in PRICED:
            by_type[kind].append(attributes)
    counts = Counter({kind: len(found) for kind, found in by_type.items()})
    databases, acls = by_type["aws_db_instance"], by_type["aws_wafv2_web_acl"]
    return Resources(
        fleets=tuple(sorted(_tag(group, "Fleet") for group in by_type["aws_autoscaling_group"])),
        databases=tuple(
            Database(
                instance_class=each["instance_class"],
                storage_gib=each["allocated_storage"],
                max_storage_gib=each["max_allocated_storage"] or each["allocated_storage"],
            )
            for each in databases
        ),
        caches=tuple(
            Cache(node_type=each["node_type"], nodes=each["num_cache_clusters"])
            for each in by_type["aws_elasticache_replication_group"]
        ),
        alarm_metrics=sum(_metrics_of_alarm(alarm) for alarm in by_type["aws_cloudwatch_metric_alarm"]),
        composite_alarms=counts["aws_cloudwatch_composite_alarm"],
        dashboards=counts["aws_cloudwatch_dashboard"],
        interface_endpoints=sum(
            len(each["subnet_ids"])
            for each in by_type["aws_vpc_endpoint"]
            if each["vpc_endpoint_type"] == "Interface"  # a gateway endpoint is free
        ),
        kms_keys=counts["aws_kms_key"],
        load_balancers=counts["aws_lb"],
        nat_gateways=counts["aws_nat_gateway"],
        public_addresses=counts["aws_eip"]
        + sum(len(each["subnets"]) for each in by_type["aws_lb"] if not each["internal"]),
        restore_tests=counts["aws_backup_restore_testing_selection"],
        scaling_alarm_metrics=sum(
            _ALARMS_PER_POLICY * _metrics_of_policy(policy) for policy in by_type["aws_autoscaling_policy"]
        ),
        # RDS keeps the password of its master user in a secret that is not in the plan
        secrets=counts["aws_secretsmanager_secret"]
        + sum(bool(each["manage_master_user_password"]) for each in databases),
        waf_rules=sum(len(each["rule"]) for each in acls),
        web_acls=len(acls),
    )


def load(paths: Paths, environment: Environment, values: dict[str, Any], note: Callable[[str], None]) -> Resources:
    """Return the resources that Terraform plans for an environment with these values of its variables.

    The result is cached in the working folder; ``note`` is called before a new plan. Raises UserError when Terraform or
    its provider is missing and when the plan fails.
    """
    kept = paths.work / "cost" / f"{environment.name}.json"
    digest = _digest(paths, environment)

    def count() -> Any:
        note(f"ENV={environment.name}: planning with a mock provider to count the resources; the result is cached.")
        return of(plan(paths, environment.variables_file, values)).model_dump(mode="json")

    return Resources.model_validate(files.cached(kept, digest, count))


def plan(paths: Paths, variables_file: Path, values: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Plan with a mock provider: each managed resource's type and planned attributes. Raises UserError."""
    inherited, _ignored = clean_environment(os.environ)
    data = paths.work / "cost" / "terraform"
    make_folder(data)
    environment = {
        **inherited,
        **find_provider_mirrors(paths.work, inherited).environment,
        "TF_DATA_DIR": str(data.absolute()),
        "CHECKPOINT_DISABLE": "1",
    }
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-plan-") as folder:
        root = _root_module(paths, Path(folder), values)
        _run(["init", "-backend=false", "-input=false", "-no-color", "-lockfile=readonly"], root, environment)
        out = _run(["test", "-json", "-verbose", f"-var-file={variables_file.resolve()}"], root, environment)
    for line in out.splitlines():
        if '"type":"test_plan"' in line:
            changes = json.loads(line)["test_plan"]["resource_changes"]
            return [(each["type"], each["change"]["after"]) for each in changes if each["mode"] == "managed"]
    raise UserError("Terraform planned nothing: its output has no plan.", "Run `make plan` for the whole message.")


def _root_module(paths: Paths, folder: Path, values: dict[str, Any]) -> Path:
    """Build a copy of the root module with one test: Terraform accepts tests only below the module that they test."""
    root = folder / "terraform"
    (root / "tests").mkdir(parents=True)
    for file in (*paths.terraform.glob("*.tf"), paths.terraform / ".terraform.lock.hcl"):
        (root / file.name).symlink_to(file.absolute())
    (root / "modules").symlink_to((paths.terraform / "modules").absolute())
    (root / _MOCKS).symlink_to((paths.terraform / _MOCKS).absolute())
    (folder / "contract").symlink_to(paths.contract.parent.absolute())
    test = {
        "mock_provider": {"aws": {"source": f"./{_MOCKS}", "mock_data": _mock_data(values)}},
        "override_data": _existing_subnets(values),
        "run": {"plan": {"command": "plan"}},
    }
    (root / "tests" / "plan.tftest.json").write_text(json.dumps(test), encoding="utf-8")
    return root


def _mock_data(values: dict[str, Any]) -> dict[str, Any]:
    """AWS's answers that depend on the variables: every type and service is offered in every zone."""
    zones, network = _zones(values), values["network"]
    types = sorted({kind for fleet in values["fleets"].values() for kind in fleet["instance_types"]})
    offered = [(kind, zone) for kind in types for zone in zones]
    vpc = (network["existing"] or {}).get("vpc_id", "vpc-1")
    answers = {
        "aws_availability_zones": {"names": zones},
        "aws_ec2_instance_type_offerings": {
            "instance_types": [kind for kind, _ in offered],
            "locations": [zone for _, zone in offered],
        },
        "aws_vpc": {"id": vpc, "enable_dns_hostnames": True, "enable_dns_support": True},
        "aws_vpc_endpoint_service": {"availability_zones": zones},
    }
    return {kind: {"defaults": answer} for kind, answer in answers.items()}


def _existing_subnets(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Put the subnets of an existing network in one zone each, as the network module requires."""
    existing, zones = values["network"]["existing"], _zones(values)
    if existing is None:
        return []
    return [
        {
            "target": f'module.network.data.aws_subnet.existing["{kind}-{index}"]',
            "values": {"availability_zone": zones[index], "vpc_id": existing["vpc_id"]},
        }
        for kind in ("data", "private", "public")
        for index in range(len(existing[f"{kind}_subnet_ids"]))
    ]


def _zones(values: dict[str, Any]) -> list[str]:
    """The zones that the environment names, or else the six that a region has at most."""
    network = values["network"]
    if network["existing"] is None and network["zones"]:
        return list(network["zones"])
    return [f"{values['region']}{letter}" for letter in "abcdef"]


def _run(arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run Terraform and return its output. Raises UserError with Terraform's message."""
    command = [str(find_terraform()), *arguments]
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if ran.returncode != 0:
        raise UserError(
            f"terraform {arguments[0]} failed: {_message(ran.stdout) or ran.stderr.strip() or ran.stdout.strip()}",
            "The cost estimate plans the environment with Terraform: correct what the message names.",
        )
    return ran.stdout


def _message(output: str) -> str:
    """The errors in the events of `terraform test -json`."""
    found = []
    for line in output.splitlines():
        if '"type":"diagnostic"' in line and (each := json.loads(line)["diagnostic"])["severity"] == "error":
            found.append(f"{each['summary']}: {each['detail']}")
    return " ".join(found)


def _digest(paths: Paths, environment: Environment) -> str:
    """The digest of everything that decides which resources are planned."""
    modules = paths.terraform / "modules"
    inputs = [
        *sorted(paths.terraform.glob("*.tf")),
        *sorted(file for file in modules.rglob("*.tf") if ".terraform" not in file.parts),
        *sorted((paths.terraform / _MOCKS).iterdir()),
        *(paths.contract, environment.variables_file, Path(__file__)),
    ]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in inputs)).hexdigest()


def _tag(group: dict[str, Any], key: str) -> str:
    return next(str(tag["value"]) for tag in group["tag"] if tag["key"] == key)


def _metrics_of_alarm(alarm: dict[str, Any]) -> int:
    """An alarm on an expression reads the metrics of its queries, any other alarm one."""
    return sum(bool(query["metric"]) for query in alarm["metric_query"] or ()) or 1


def _metrics_of_policy(policy: dict[str, Any]) -> int:
    """The metrics that an alarm of a target tracking policy reads; 0 for a policy of another kind."""
    found = 0
    for tracking in policy["target_tracking_configuration"] or ():
        found += len(tracking["predefined_metric_specification"] or ())
        for custom in tracking["customized_metric_specification"] or ():
            found += sum(bool(metric["metric_stat"]) for metric in custom["metrics"] or ()) or 1
    return found
