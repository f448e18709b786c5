"""The table of GPUs agrees with EC2's description of its types."""

from __future__ import annotations

import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from ansible_collections.ollama.gpu.plugins.module_utils import gpu_matrix
from ollama_gpu.catalogue import gpus

KNOWN = {name: said for name, said in INSTANCE_TYPES.items() if name.partition(".")[0] in gpus.FAMILIES}


@pytest.mark.parametrize("instance_type", sorted(KNOWN))
def test_type_has_the_gpus_of_ec2(instance_type: str) -> None:
    (said,) = KNOWN[instance_type]["GpuInfo"]["Gpus"]
    found = gpus.of(instance_type)
    assert (found.name.split()[0], found.count) == (said["Name"], said["Count"])
    assert 0.92 * said["MemoryInfo"]["SizeInMiB"] <= found.memory_mib <= said["MemoryInfo"]["SizeInMiB"]


def test_every_current_family_is_compared_with_ec2() -> None:
    assert {name.partition(".")[0] for name in KNOWN} >= {"g4dn", "g5", "g6", "g6e"}


def test_collection_knows_the_generation_of_every_family() -> None:
    assert set(gpus.FAMILIES) <= set(gpu_matrix.EC2_FAMILIES)


@pytest.mark.parametrize("instance_type", ["t3.xlarge", "g5", "", "inf2.xlarge"])
def test_type_without_a_known_gpu_is_an_error(instance_type: str) -> None:
    with pytest.raises(ValueError, match="not in a family with known GPUs"):
        gpus.of(instance_type)
