"""The matrix accepts valid combinations and reports each invalid one with a remedy."""

from __future__ import annotations

import re

import pytest

from .plugins import load

matrix = load("module_utils.gpu_matrix")


@pytest.mark.parametrize(
    ("generations", "branch", "cuda", "flavour", "library"),
    [
        (["volta"], "580", "12.9", "proprietary", "cuda_v12"),  # p3
        (["volta"], "550", "12.4", "proprietary", "cuda_v12"),
        (["turing"], "580", "12.9", "open", "cuda_v13"),  # g4dn
        (["ampere"], "570", "12.9", "open", "cuda_v12"),  # before 580 there is no CUDA 13
        (["ada"], "580", "13.0", "open", "cuda_v13"),  # g6, g6e
        (["hopper"], "595", "13.0", "open", "cuda_v13"),
        (["blackwell"], "570", "12.8", "open", "cuda_v12"),
        (["turing", "ampere", "ada"], "580", "12.9", "open", "cuda_v13"),  # one image for g4dn, g5, g6
        (["volta", "turing"], "580", "12.9", "proprietary", "cuda_v12"),  # one image for p3 and g4dn
        (["unknown"], "580", "12.9", "open", "cuda_v13"),
        ([], "580", "12.9", "open", "cuda_v13"),
    ],
)
def test_valid_combination_gets_modules_and_library(
    generations: list[str], branch: str, cuda: str, flavour: str, library: str
) -> None:
    assert matrix.plan(generations, branch, cuda) == (flavour, library, [])


@pytest.mark.parametrize(
    ("seen", "generations", "branch", "cuda", "flavour", "library"),
    [
        ("Volta GPUs are supported up to driver branch 580", ["volta"], "590", "12.9", "auto", "auto"),
        ("Volta GPUs do not work with the open kernel modules", ["volta"], "580", "12.9", "open", "auto"),
        ("CUDA 13.0 no longer supports Volta GPUs", ["volta"], "580", "13.0", "auto", "auto"),
        ("cuda_v13 starts with Turing", ["volta"], "580", "12.9", "auto", "cuda_v13"),
        ("Blackwell GPUs do not work with the proprietary", ["blackwell"], "580", "", "proprietary", "auto"),
        ("Blackwell GPUs need driver branch 570", ["blackwell"], "550", "12.8", "auto", "auto"),
        ("CUDA 12.4 does not know Blackwell GPUs yet", ["blackwell"], "580", "12.4", "auto", "auto"),
        ("Blackwell GPUs need the open kernel modules", ["volta", "blackwell"], "580", "12.9", "auto", "auto"),
        ("CUDA 13.0 needs driver branch 580", ["ada"], "570", "13.0", "auto", "auto"),
        ("CUDA 12.9 needs driver branch 525", ["turing"], "515", "12.9", "auto", "none"),
        ("CUDA 14.0 is not in the matrix", ["ada"], "620", "14.0", "auto", "auto"),
        ("Ollama needs driver branch 550", ["turing"], "535", "12.2", "auto", "auto"),
        ("Ollama needs driver branch 570 or newer for Maxwell", ["maxwell"], "550", "12.4", "auto", "auto"),
        ("Ollama has no CUDA library for Kepler", ["kepler"], "470", "11.8", "auto", "auto"),
        ("Ollama's cuda_v13 needs driver branch 580", ["ada"], "570", "12.9", "auto", "cuda_v13"),
        ("Driver branch 470 has no open kernel modules", ["turing"], "470", "11.8", "open", "none"),
        ("Driver branch 620 has no proprietary kernel modules", ["ada"], "620", "13.0", "proprietary", "auto"),
    ],
)  # fmt: skip
def test_invalid_combination_is_reported_with_a_remedy(
    seen: str, generations: list[str], branch: str, cuda: str, flavour: str, library: str
) -> None:
    problems = matrix.plan(generations, branch, cuda, flavour, library).problems
    assert [one for one in problems if one.startswith(seen) or seen in one], problems
    for problem in problems:
        assert re.search(r"(\. Use|: put) .+\.$", problem), f"no remedy: {problem}"


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        ((["volta"], "R580"), "is no driver branch"),
        ((["volta"], "580", "12"), "is no CUDA release"),
        ((["geforce"], "580"), "is no GPU generation"),
        ((["volta"], "580", "12.9", "closed"), "is no module flavour"),
        ((["volta"], "580", "12.9", "auto", "cuda_v11"), "is no Ollama library"),
    ],
)
def test_unknown_value_is_rejected(arguments: tuple[object, ...], seen: str) -> None:
    with pytest.raises(ValueError, match=seen):
        matrix.plan(*arguments)


@pytest.mark.parametrize(
    ("device_id", "generation"),
    [
        (0x102D, "kepler"),  # K80, p2
        (0x13F2, "maxwell"),  # M60, g3
        (0x15F8, "pascal"),  # P100
        (0x1DB1, "volta"),  # V100, p3
        (0x1DB5, "volta"),  # V100 32 GB, p3dn
        (0x1EB8, "turing"),  # T4, g4dn
        (0x20B0, "ampere"),  # A100, p4d
        (0x2237, "ampere"),  # A10G, g5
        (0x2330, "hopper"),  # H100, p5
        (0x26B9, "ada"),  # L40S, g6e
        (0x27B8, "ada"),  # L4, g6
        (0x2901, "blackwell"),  # B200, p6-b200
        (0x2BB5, "blackwell"),  # RTX PRO 6000, g7e
        (0x3182, "blackwell"),  # B300, p6-b300
        (0x3F00, "unknown"),
    ],
)
def test_pci_id_gives_the_generation(device_id: int, generation: str) -> None:
    assert matrix.generation_of(device_id) == generation


def test_every_named_gpu_has_a_generation() -> None:
    assert "unknown" not in {matrix.generation_of(device_id) for device_id in matrix.DEVICE_NAMES}


def test_every_generation_has_a_valid_combination() -> None:
    for generation in set(matrix.GENERATIONS) - {"kepler"}:
        assert matrix.plan([generation], "580", "12.9").problems == [], generation
    assert matrix.plan(["kepler"], "470", "11.8", library="none").problems == []


def test_every_instance_type_that_the_fabric_allows_is_known() -> None:
    for family in ("g4dn", "g5", "g6", "g6e", "p3"):  # terraform/variables.tf, fleets
        assert matrix.family_generation(f"{family}.2xlarge") in matrix.GENERATIONS


def test_an_instance_type_without_a_known_gpu_is_refused() -> None:
    with pytest.raises(ValueError, match=r"m7i\.large is not in an EC2 family with a GPU"):
        matrix.family_generation("m7i.large")
