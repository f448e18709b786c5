"""The CloudWatch agent's configuration, rendered by Ansible, matches the contract exactly."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.unit.collection.programs import ROLES

REPOSITORY = Path(__file__).resolve().parents[3]
ROLE = ROLES / "cloudwatch_agent"
CONTRACT = yaml.safe_load((REPOSITORY / "contract" / "instance.yaml").read_text())
OURS = json.loads((REPOSITORY / "tests" / "data" / "cloudwatch-agent-configuration.schema.json").read_text())

# The agent's sources contain its schema (translator/config/schema.json), which this repository does not copy.
AGENTS_SCHEMA = Path(
    os.environ.get(
        "CLOUDWATCH_AGENT_SCHEMA", "/opt/aws/amazon-cloudwatch-agent/doc/amazon-cloudwatch-agent-schema.json"
    )
)

GPU = {"pci": "0000:00:1e.0", "uuid": "GPU-2f0e7c9b-5a51-4c8e-8c60-3a8d1b1f3d2a", "name": "NVIDIA A10G"}
HOSTS: dict[str, dict[str, Any]] = {
    "with_gpu": {"gpus": [GPU]},
    "without_gpu": {"gpus": []},
    "with_silent_driver": {"gpus": [{**GPU, "uuid": ""}]},
    "elsewhere": {
        "gpus": [],
        "extra": {
            "cloudwatch_agent_region": "eu-central-1",
            "cloudwatch_agent_logs_endpoint": "http://127.0.0.1:5000",
            "cloudwatch_agent_metrics_endpoint": "http://127.0.0.1:5000",
            "cloudwatch_agent_log_files": [],
        },
    },
}
PREFIXES = {"cpu": "cpu", "disk": "disk", "mem": "mem", "nvidia_gpu": "nvidia_smi"}  # the agent's prefixes by section
AGENTS_METRICS = {name: metric for name, metric in CONTRACT["metrics"]["names"].items() if metric["made_by"] == "agent"}
NO_UNIT = "None"  # CloudWatch's name for a missing unit; the agent sends none for some GPU metrics


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The configuration of each kind of host, from the role's template, defaults and variables."""
    folder = tmp_path_factory.mktemp("cloudwatch_agent")
    tasks = [
        {
            "ansible.builtin.template": {
                "src": str(ROLE / "templates" / "cloudwatch-agent.json.j2"),
                "dest": str(folder / f"{host}.json"),
                "mode": "0644",
            },
            "vars": {
                "__cloudwatch_agent_gpus": {"gpus": seen["gpus"]},
                "cloudwatch_agent_environment": "staging",
                **seen.get("extra", {}),
            },
        }
        for host, seen in HOSTS.items()
    ]
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, "contract": CONTRACT},
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "tasks": tasks,
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(folder / "play.yml")]
    played = subprocess.run(command, capture_output=True, text=True)
    assert played.returncode == 0, played.stdout + played.stderr
    return {host: json.loads((folder / f"{host}.json").read_text()) for host in HOSTS}


def published(configuration: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return unit and dimensions by metric, from the agent's rules for names, units and roll-ups."""
    return {
        f"{PREFIXES[section]}_{measurement['name']}": {
            "unit": measurement.get("unit", NO_UNIT),
            "dimensions": configuration["metrics"]["aggregation_dimensions"],
        }
        for section, collected in configuration["metrics"]["metrics_collected"].items()
        for measurement in collected["measurement"]
    }


def promised(names: set[str]) -> dict[str, dict[str, Any]]:
    return {name: {key: AGENTS_METRICS[name][key] for key in ("unit", "dimensions")} for name in names}


def test_with_a_gpu_it_publishes_exactly_the_contracts_metrics(rendered: dict[str, Any]) -> None:
    assert published(rendered["with_gpu"]) == promised(set(AGENTS_METRICS))


@pytest.mark.parametrize("host", ["without_gpu", "with_silent_driver"])
def test_the_gpu_block_is_written_only_where_a_gpu_answers(rendered: dict[str, Any], host: str) -> None:
    assert published(rendered[host]) == promised({name for name in AGENTS_METRICS if not name.startswith("nvidia_smi")})


@pytest.mark.parametrize("host", HOSTS)
def test_only_roll_ups_are_published(rendered: dict[str, Any], host: str) -> None:
    metrics = rendered[host]["metrics"]
    assert metrics["namespace"] == CONTRACT["metrics"]["namespace"]
    assert all(section["drop_original_metrics"] == ["*"] for section in metrics["metrics_collected"].values())
    # The agent creates a roll-up only of a metric with more dimensions; memory has only the appended ones.
    assert all(len(metrics["append_dimensions"]) > len(rollup) for rollup in metrics["aggregation_dimensions"])


@pytest.mark.parametrize("host", HOSTS)
def test_port_and_log_groups_match_the_contract(rendered: dict[str, Any], host: str) -> None:
    logs = rendered[host]["logs"]
    port = CONTRACT["ports"]["embedded_metrics"]
    assert logs["metrics_collected"]["emf"]["service_address"] == f"udp://127.0.0.1:{port}"
    entries = [entry for source in logs["logs_collected"].values() for entry in source["collect_list"]]
    assert {entry["log_group_name"] for entry in entries} == {
        CONTRACT["log_groups"]["instance"].format(environment="staging")
    }
    assert not any("retention_in_days" in entry for entry in entries), "Terraform owns the retention"


def test_region_and_addresses_are_written_if_set(rendered: dict[str, Any]) -> None:
    elsewhere, usual = rendered["elsewhere"], rendered["without_gpu"]
    assert elsewhere["agent"]["region"] == "eu-central-1"
    assert {elsewhere[part]["endpoint_override"] for part in ("metrics", "logs")} == {"http://127.0.0.1:5000"}
    assert "files" not in elsewhere["logs"]["logs_collected"]
    assert "region" not in usual["agent"]
    assert not any("endpoint_override" in usual[part] for part in ("metrics", "logs"))


@pytest.mark.parametrize("host", HOSTS)
def test_configuration_has_only_documented_keys(rendered: dict[str, Any], host: str) -> None:
    jsonschema.Draft4Validator(OURS).validate(rendered[host])


@pytest.mark.skipif(
    not AGENTS_SCHEMA.exists(),
    reason="needs the CloudWatch agent's own schema: install the agent, or set CLOUDWATCH_AGENT_SCHEMA to its file",
)
@pytest.mark.parametrize("host", HOSTS)
def test_configuration_matches_the_agents_schema(rendered: dict[str, Any], host: str) -> None:
    schema = jsonschema.Draft4Validator(json.loads(AGENTS_SCHEMA.read_text()))
    schema.validate(rendered[host])
    broken = copy.deepcopy(rendered[host])
    broken["logs"]["logs_collected"]["journald"]["collect_list"][0]["priority"] = "loud"
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(broken)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metrics", "namespace"), ""),
        (("metrics", "metrics_collected", "mem", "measurment"), ["used_percent"]),
        (("metrics", "metrics_collected", "mem", "measurement"), []),
        (("metrics", "aggregation_dimensions"), [["Model"]]),
        (("metrics", "append_dimensions", "AutoScalingGroupName"), "a-group"),
        (("logs", "metrics_collected", "emf", "service_address"), "udp://0.0.0.0:25888"),
        (("logs", "logs_collected", "journald", "collect_list"), [{"log_stream_name": "{instance_id}"}]),
        (("agent", "run_as_user"), "root"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else None,
)
def test_schema_rejects_an_invalid_configuration(rendered: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    broken = copy.deepcopy(rendered["with_gpu"])
    inner = broken
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(OURS).validate(broken)


def test_every_agent_metric_of_the_contract_belongs_to_a_section() -> None:
    for name in AGENTS_METRICS:
        assert sum(name.startswith(f"{prefix}_") for prefix in PREFIXES.values()) == 1, name
