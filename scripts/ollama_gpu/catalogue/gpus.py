"""The GPUs of the EC2 instance types that a fleet may use.

Counts: docs.aws.amazon.com/ec2/latest/instancetypes/ac.html (a test compares them with EC2's API). Memory is the total
that the driver reports (nvidia-smi, the lowest of driver branches 535 to 580). For T4 and V100 it is less than EC2's
figure, because error correction takes a part. On a host, gpu_scan reads the actual figure.
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
        """The memory of one GPU: each Ollama uses one GPU."""
        return self.memory_mib << 20


_FAMILIES: dict[str, tuple[str, int, dict[str, int]]] = {
    "g4dn": ("T4", 15360, {"12xlarge": 4, "metal": 8}),
    "g5": ("A10G", 22731, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "g6": ("L4", 22888, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "g6e": ("L40S", 45776, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "p3": ("V100 16 GB", 16160, {"8xlarge": 4, "16xlarge": 8}),
    "p3dn": ("V100 32 GB", 32480, {"24xlarge": 8}),
}
"""By family: GPU name, MiB, and the number of GPUs by size if it is not one."""

FAMILIES = tuple(_FAMILIES)


def of(instance_type: str) -> Gpus:
    """Return the GPUs of an instance type. Raises ValueError if its family is not in the table."""
    family, _, size = instance_type.partition(".")
    if family not in _FAMILIES or not size:
        raise ValueError(f"{instance_type} is not in a family with known GPUs: {', '.join(FAMILIES)}")
    name, memory, counts = _FAMILIES[family]
    return Gpus(name, counts.get(size, 1), memory)
