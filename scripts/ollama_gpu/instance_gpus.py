"""The GPUs of the EC2 instance types that a fleet may have: the one table of them.

Counts: docs.aws.amazon.com/ec2/latest/instancetypes/ac.html (a test holds them against what EC2's API says). Memory is
what the driver reports as total (nvidia-smi, the lowest of driver branches 535 to 580), for T4 and V100 less than EC2's
figure: a part is for error correction. A host's own figure is gpu_scan's.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpus:
    """``count`` GPUs of one kind; ``memory_mib`` of each."""

    name: str
    count: int
    memory_mib: int

    @property
    def memory_bytes(self) -> int:
        """Of one GPU: one Ollama serves one."""
        return self.memory_mib << 20


_FAMILIES: dict[str, tuple[str, int, dict[str, int]]] = {
    "g4dn": ("T4", 15360, {"12xlarge": 4, "metal": 8}),
    "g5": ("A10G", 22731, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "g6": ("L4", 22888, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "g6e": ("L40S", 45776, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "p3": ("V100 16 GB", 16160, {"8xlarge": 4, "16xlarge": 8}),
    "p3dn": ("V100 32 GB", 32480, {"24xlarge": 8}),
}
"""Family to GPU, MiB and, by size, their number where it is not one."""

FAMILIES = tuple(_FAMILIES)


def of(instance_type: str) -> Gpus:
    """The GPUs of an instance type. Raises ValueError for one of no family in the table."""
    family, _, size = instance_type.partition(".")
    if family not in _FAMILIES or not size:
        raise ValueError(f"{instance_type} is of no family whose GPUs are known: {', '.join(FAMILIES)}")
    name, memory, counts = _FAMILIES[family]
    return Gpus(name, counts.get(size, 1), memory)
