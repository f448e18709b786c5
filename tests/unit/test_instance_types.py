"""The table of instance types agrees with EC2's own answers and with the families that Terraform takes."""

import re
from pathlib import Path

import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from ollama_gpu import instance_types
from ollama_gpu.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
KNOWN_TO_MOTO = [name for name in instance_types.every() if name in INSTANCE_TYPES]


@pytest.mark.parametrize("name", KNOWN_TO_MOTO)
def test_a_type_holds_what_ec2_says(name: str) -> None:
    seen, kind = INSTANCE_TYPES[name], instance_types.of(name)
    assert (seen["VCpuInfo"]["DefaultVCpus"], seen["MemoryInfo"]["SizeInMiB"] // 1024) == (kind.vcpus, kind.memory_gib)


def test_the_families_are_those_that_terraform_takes() -> None:
    allowed = re.search(r"\^\(([a-z0-9|]+)\)", (ROOT / "terraform" / "variables.tf").read_text())
    assert allowed is not None
    families = {name.partition(".")[0] for name in instance_types.every()}
    assert families == set(allowed[1].split("|"))
    # every type of those families that EC2 offers is here, so that none that deploys is unknown to the planner
    offered = {name for name in INSTANCE_TYPES if name.partition(".")[0] in families}
    assert offered <= set(instance_types.every())


def test_an_unknown_type_is_refused_with_its_family() -> None:
    with pytest.raises(UserError) as refused:
        instance_types.of("g5.3xlarge")
    assert "g5.3xlarge" in refused.value.message
    assert "g5.4xlarge" in str(refused.value.remedy)
