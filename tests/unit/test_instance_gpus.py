"""The table of GPUs agrees with what EC2 says of its types."""

from __future__ import annotations

import pytest
from ansible_collections.ollama.gpu.plugins.module_utils import gpu_matrix
from moto.ec2.models.instance_types import INSTANCE_TYPES

from ollama_gpu import instance_gpus

KNOWN = {name: said for name, said in INSTANCE_TYPES.items() if name.partition(".")[0] in instance_gpus.FAMILIES}


@pytest.mark.parametrize("instance_type", sorted(KNOWN))
def test_a_type_has_the_gpus_that_ec2_says(instance_type: str) -> None:
    (said,) = KNOWN[instance_type]["GpuInfo"]["Gpus"]
    found = instance_gpus.of(instance_type)
    assert (found.name.split()[0], found.count) == (said["Name"], said["Count"])
    assert 0.92 * said["MemoryInfo"]["SizeInMiB"] <= found.memory_mib <= said["MemoryInfo"]["SizeInMiB"]


def test_ec2_is_asked_of_every_family_that_it_still_has() -> None:
    assert {name.partition(".")[0] for name in KNOWN} >= {"g4dn", "g5", "g6", "g6e"}


def test_the_collection_knows_the_generation_of_every_family() -> None:
    assert set(instance_gpus.FAMILIES) <= set(gpu_matrix.EC2_FAMILIES)


@pytest.mark.parametrize("instance_type", ["t3.xlarge", "g5", "", "inf2.xlarge"])
def test_a_type_without_a_known_gpu_is_refused(instance_type: str) -> None:
    with pytest.raises(ValueError, match="no family whose GPUs are known"):
        instance_gpus.of(instance_type)
