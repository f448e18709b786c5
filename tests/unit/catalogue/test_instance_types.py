"""The table of instance types agrees with EC2 and with the families that Terraform accepts."""

import re
from pathlib import Path

import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from ollama_gpu.catalogue import instance_types
from ollama_gpu.core.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
KNOWN_TO_MOTO = [name for name in instance_types.every() if name in INSTANCE_TYPES]


@pytest.mark.parametrize("name", KNOWN_TO_MOTO)
def test_type_has_vcpus_and_memory_of_ec2(name: str) -> None:
    seen, kind = INSTANCE_TYPES[name], instance_types.of(name)
    assert (seen["VCpuInfo"]["DefaultVCpus"], seen["MemoryInfo"]["SizeInMiB"] // 1024) == (kind.vcpus, kind.memory_gib)


def test_families_are_those_that_terraform_accepts() -> None:
    allowed = re.search(r"\^\(([a-z0-9|]+)\)", (ROOT / "terraform" / "variables.tf").read_text())
    assert allowed is not None
    families = {name.partition(".")[0] for name in instance_types.every()}
    assert families == set(allowed[1].split("|"))
    # every type that EC2 offers in these families, so that the planner knows each type that can be deployed
    offered = {name for name in INSTANCE_TYPES if name.partition(".")[0] in families}
    assert offered <= set(instance_types.every())


def test_error_for_unknown_type_lists_its_family() -> None:
    with pytest.raises(UserError) as refused:
        instance_types.of("g5.3xlarge")
    assert "g5.3xlarge" in refused.value.message
    assert "g5.4xlarge" in str(refused.value.remedy)
