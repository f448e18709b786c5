# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""Compatibility of GPUs with driver branches, kernel module flavours, CUDA releases and Ollama's CUDA libraries.

The data comes first, then the rules. Sources:
[install]  docs.nvidia.com/datacenter/tesla/driver-installation-guide, kernel modules, releases 580, 610, 615 and 620
[cuda]     docs.nvidia.com/deploy/cuda-compatibility, minor version compatibility; CUDA Toolkit release notes 12.8, 13.0
[eol]      NVIDIA, "Unix graphics feature deprecation schedule": Maxwell, Pascal and Volta end with release 580
[ollama]   docs.ollama.com/gpu: driver 550 and newer; 570 and newer for compute capability 5.0 to 6.2
[pci]      pci.ids 2023.04.11 for what it holds; newer chips: NVIDIA's open-gpu-kernel-modules, list of compatible GPUs
[ec2]      docs.aws.amazon.com/ec2/latest/instancetypes/ac.html, accelerated computing instances
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Generation(NamedTuple):
    """The requirements of a GPU generation. Branches are driver branches, 0 means no limit. CUDA is (major, minor)."""

    first_branch: int  # first branch that supports the generation
    last_branch: int  # last branch that supports it [eol]
    flavours: tuple[str, ...]  # kernel module flavours that support it [install]
    first_cuda: tuple[int, int]
    last_cuda: tuple[int, int]  # (0, 0) means no limit
    ollama_libraries: tuple[str, ...]  # best first; cuda_v12 is built for 5.0 to 12.0, cuda_v13 for 7.5 and newer


NO_LIMIT = (0, 0)
BOTH = ("open", "proprietary")
GENERATIONS: dict[str, Generation] = {
    "kepler": Generation(352, 470, ("proprietary",), (7, 0), (11, 8), ()),
    "maxwell": Generation(352, 580, ("proprietary",), (7, 0), (12, 9), ("cuda_v12",)),
    "pascal": Generation(375, 580, ("proprietary",), (8, 0), (12, 9), ("cuda_v12",)),
    "volta": Generation(384, 580, ("proprietary",), (9, 0), (12, 9), ("cuda_v12",)),
    "turing": Generation(410, 0, BOTH, (10, 0), NO_LIMIT, ("cuda_v13", "cuda_v12")),
    "ampere": Generation(450, 0, BOTH, (11, 0), NO_LIMIT, ("cuda_v13", "cuda_v12")),
    "ada": Generation(525, 0, BOTH, (11, 8), NO_LIMIT, ("cuda_v13", "cuda_v12")),
    "hopper": Generation(525, 0, BOTH, (11, 8), NO_LIMIT, ("cuda_v13", "cuda_v12")),
    "blackwell": Generation(570, 0, ("open",), (12, 8), NO_LIMIT, ("cuda_v13", "cuda_v12")),
    # a GPU that is newer than this list: since Blackwell, NVIDIA supports new GPUs with the open modules only
    "unknown": Generation(570, 0, ("open",), (12, 8), NO_LIMIT, ("cuda_v13", "cuda_v12")),
}

# First and last PCI device ID of a chip family. The first range that contains an ID gives its generation [pci].
PCI_RANGES: tuple[tuple[int, int, str], ...] = (
    (0x0FC0, 0x103F, "kepler"),  # GK107, GK110, GK210: K80 is 102d
    (0x1180, 0x12BF, "kepler"),
    (0x15F0, 0x15FF, "pascal"),  # GP100, inside Maxwell's numbers
    (0x1725, 0x172F, "pascal"),
    (0x1340, 0x17FF, "maxwell"),  # M60 is 13f2
    (0x1B00, 0x1D7F, "pascal"),
    (0x1D80, 0x1DFF, "volta"),  # GV100: V100 is 1db1 (16 GB), 1db5 (32 GB)
    (0x1E00, 0x1FFF, "turing"),  # T4 is 1eb8, T4G 1eb4
    (0x2080, 0x20FF, "ampere"),  # GA100: A100 is 20b0 (40 GB), 20b2 (80 GB)
    (0x2180, 0x21FF, "turing"),
    (0x2300, 0x23FF, "hopper"),  # GH100: H100 is 2330, H200 2335
    (0x2200, 0x25FF, "ampere"),  # A10G is 2237
    (0x2600, 0x28FF, "ada"),  # L4 is 27b8, L40S 26b9
    (0x2900, 0x2FFF, "blackwell"),  # B200 is 2901, RTX PRO 6000 2bb5
    (0x3180, 0x31FF, "blackwell"),  # B300 is 3182
)

# The GPUs of EC2 instance families, for messages and for images that are baked on a machine without a GPU [ec2].
# g6f is deliberately missing: its fractions of an L4 need NVIDIA's GRID driver.
EC2_FAMILIES: dict[str, str] = {
    "g3": "maxwell",
    "g4dn": "turing",
    "g5": "ampere",
    "g5g": "turing",
    "g6": "ada",
    "g6e": "ada",
    "gr6": "ada",
    "g7e": "blackwell",
    "p2": "kepler",
    "p3": "volta",
    "p3dn": "volta",
    "p4d": "ampere",
    "p4de": "ampere",
    "p5": "hopper",
    "p5e": "hopper",
    "p5en": "hopper",
    "p6-b200": "blackwell",
    "p6-b300": "blackwell",
    "p6e-gb200": "blackwell",
}

DEVICE_NAMES: dict[int, str] = {  # GPUs of EC2; other names come from the driver [pci]
    0x102D: "K80",
    0x13F2: "M60",
    0x1DB1: "V100 16 GB",
    0x1DB5: "V100 32 GB",
    0x1EB4: "T4G",
    0x1EB8: "T4",
    0x20B0: "A100 40 GB",
    0x20B2: "A100 80 GB",
    0x2237: "A10G",
    0x2330: "H100",
    0x2335: "H200",
    0x26B9: "L40S",
    0x27B8: "L4",
    0x2901: "B200",
    0x2BB5: "RTX PRO 6000 Blackwell",
    0x3182: "B300",
}

FLAVOURS = ("auto", "open", "proprietary")
OLLAMA_LIBRARIES = ("auto", "none", "cuda_v12", "cuda_v13")
OLLAMA_FIRST_BRANCH = 550  # [ollama]
OLLAMA_FIRST_BRANCH_BEFORE_VOLTA = 570  # [ollama]
FIRST_OPEN_BRANCH = 515  # [install]
LAST_PROPRIETARY_BRANCH = 615  # [install] release 620: "Proprietary Kernel Modules Removed"
CUDA_FIRST_BRANCH = {11: 450, 12: 525, 13: 580}  # minor version compatibility within a major release [cuda]


class Plan(NamedTuple):
    """The chosen settings, and one message with a remedy for each problem."""

    flavour: str
    ollama_library: str
    problems: list[str]


def generation_of(device_id: int) -> str:
    """Return the generation of a PCI device ID, or C(unknown)."""
    for first, last, generation in PCI_RANGES:
        if first <= device_id <= last:
            return generation
    return "unknown"


def family_generation(instance_type: str) -> str:
    """Return the generation of an EC2 instance type's GPUs. Raises ValueError for a type without a known GPU."""
    family = instance_type.partition(".")[0]
    if family not in EC2_FAMILIES:
        raise ValueError(
            f"{instance_type} is not in an EC2 family with a GPU that this collection knows. "
            f"Use one of {', '.join(sorted(EC2_FAMILIES))}, or set the GPU's generation instead."
        )
    return EC2_FAMILIES[family]


def plan(generations: list[str], branch: str, cuda: str = "", flavour: str = "auto", library: str = "auto") -> Plan:
    """Choose module flavour and Ollama's library for GPUs, and check them with the driver branch and CUDA.

    Without generations (no GPU known), only the rules for all GPUs are checked, and C(auto) means C(open).
    Raises ValueError for an unknown generation, branch, CUDA release, flavour or library.
    """
    number = _branch(branch)
    release = _cuda(cuda) if cuda else None
    _one_of("module flavour", flavour, FLAVOURS)
    _one_of("Ollama library", library, OLLAMA_LIBRARIES)
    for name in generations:
        _one_of("GPU generation", name, tuple(GENERATIONS))
    needs = {name: GENERATIONS[name] for name in sorted(set(generations))}

    chosen_flavour, problems = _choose_flavour(needs, number, flavour)
    chosen_library, library_problems = _choose_library(needs, number, library)
    problems += _branch_problems(needs, number)
    problems += _cuda_problems(needs, number, release) if release else []
    return Plan(chosen_flavour, chosen_library, problems + library_problems)


def _choose_flavour(needs: dict[str, Generation], branch: int, flavour: str) -> tuple[str, list[str]]:
    common = [one for one in BOTH if all(one in need.flavours for need in needs.values())]
    if not common:
        open_only = _names(name for name, need in needs.items() if need.flavours == ("open",))
        closed_only = _names(name for name, need in needs.items() if need.flavours == ("proprietary",))
        return "open", [
            f"{open_only} GPUs need the open kernel modules and {closed_only} GPUs the proprietary ones. "
            "No driver supports both: put them into separate fleets with separate images."
        ]
    chosen = common[0] if flavour == "auto" else flavour
    problems = []
    if chosen not in common:
        refused = _names(name for name, need in needs.items() if chosen not in need.flavours)
        problems.append(f"{refused} GPUs do not work with the {chosen} kernel modules. Use {common[0]}, or auto.")
    if chosen == "open" and branch < FIRST_OPEN_BRANCH:
        problems.append(
            f"Driver branch {branch} has no open kernel modules, {FIRST_OPEN_BRANCH} was the first with them. "
            "Use branch 580, or the proprietary modules."
        )
    if chosen == "proprietary" and branch > LAST_PROPRIETARY_BRANCH:
        problems.append(
            f"Driver branch {branch} has no proprietary kernel modules, {LAST_PROPRIETARY_BRANCH} was the last. "
            "Use branch 580, or the open modules."
        )
    return chosen, problems


def _branch_problems(needs: dict[str, Generation], branch: int) -> list[str]:
    problems = []
    for name, need in needs.items():
        if need.last_branch and branch > need.last_branch:
            problems.append(
                f"{name.capitalize()} GPUs are supported up to driver branch {need.last_branch}, not by {branch}. "
                f"Use {need.last_branch}."
            )
        if branch < need.first_branch:
            problems.append(
                f"{name.capitalize()} GPUs need driver branch {need.first_branch} or newer, not {branch}. Use 580."
            )
    return problems


def _cuda_problems(needs: dict[str, Generation], branch: int, cuda: tuple[int, int]) -> list[str]:
    problems = []
    asked = _dotted(cuda)
    first_branch = CUDA_FIRST_BRANCH.get(cuda[0])
    if first_branch is None:
        known = _names(str(major) for major in CUDA_FIRST_BRANCH)
        problems.append(
            f"CUDA {asked} is not in the matrix. "
            f"Use a release of CUDA {known}, or add its first driver branch to the matrix."
        )
    elif branch < first_branch:
        problems.append(
            f"CUDA {asked} needs driver branch {first_branch} or newer, not {branch}. Use branch 580, or an older CUDA."
        )
    for name, need in needs.items():
        if need.last_cuda != NO_LIMIT and cuda > need.last_cuda:
            problems.append(
                f"CUDA {asked} no longer supports {name.capitalize()} GPUs, {_dotted(need.last_cuda)} was the last. "
                "Use that or older."
            )
        if cuda < need.first_cuda:
            problems.append(
                f"CUDA {asked} does not know {name.capitalize()} GPUs yet. "
                f"Use CUDA {_dotted(need.first_cuda)} or newer."
            )
    return problems


def _choose_library(needs: dict[str, Generation], branch: int, library: str) -> tuple[str, list[str]]:
    if library == "none":
        return "none", []
    problems = []
    for name, need in needs.items():
        if not need.ollama_libraries:
            problems.append(f"Ollama has no CUDA library for {name.capitalize()} GPUs. Use a newer GPU.")
        if name in ("maxwell", "pascal") and branch < OLLAMA_FIRST_BRANCH_BEFORE_VOLTA:
            problems.append(
                f"Ollama needs driver branch {OLLAMA_FIRST_BRANCH_BEFORE_VOLTA} or newer for {name.capitalize()} GPUs, "
                f"not {branch}. Use 580."
            )
    if branch < OLLAMA_FIRST_BRANCH:
        problems.append(
            f"Ollama needs driver branch {OLLAMA_FIRST_BRANCH} or newer, not {branch}, else it uses the CPU. Use 580."
        )
    refused = _names(name for name, need in needs.items() if "cuda_v13" not in need.ollama_libraries)
    fits_13 = branch >= CUDA_FIRST_BRANCH[13]
    if library == "auto":
        return ("cuda_v13" if fits_13 and not refused else "cuda_v12"), problems
    if library == "cuda_v13" and refused:
        problems.append(f"Ollama's cuda_v13 starts with Turing and does not run on {refused} GPUs. Use cuda_v12.")
    if library == "cuda_v13" and not fits_13:
        problems.append(
            f"Ollama's cuda_v13 needs driver branch {CUDA_FIRST_BRANCH[13]} or newer, not {branch}. "
            "Use cuda_v12, or branch 580."
        )
    return library, problems


def _branch(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"{text!r} is no driver branch. Use its number, such as 580.")
    return int(text)


def _cuda(text: str) -> tuple[int, int]:
    major, _dot, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise ValueError(f"{text!r} is no CUDA release. Use major and minor, such as 12.9.")
    return int(major), int(minor)


def _dotted(cuda: tuple[int, int]) -> str:
    return f"{cuda[0]}.{cuda[1]}"


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{value!r} is no {what}. Use one of {', '.join(known)}.")


def _names(names: Iterable[str]) -> str:
    return " and ".join(name.capitalize() for name in names)
