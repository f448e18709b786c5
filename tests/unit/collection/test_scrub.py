"""Tests of the image's scrub: it removes and lists what two instances must not share, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.collection import programs


@pytest.fixture(scope="module")
def scrub() -> ModuleType:
    return programs.load("image_seal", "scrub")


REMOVED = (
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "etc/haproxy/tls/front.pem",
    "etc/cdi/nvidia.yaml",
    "etc/ollama-gpu/instance.json",
    "root/.bash_history",
    "root/.ssh/authorized_keys",
    "home/admin/.ssh/authorized_keys",
    "root/.docker/config.json",
    "var/lib/cloud/instances/i-1/user-data.txt",
    "var/lib/dhcp/dhclient.leases",
    "var/lib/systemd/random-seed",
    "var/lib/apt/lists/x_Packages",
    "var/cache/ollama-gpu/ollama.tar.zst",
    "var/log/journal/abc/system.journal",
    "var/log/apt/history.log",
    "run/ollama-gpu/open-webui.env",
)
KEPT = (
    "etc/ssh/sshd_config",
    "etc/ollama-gpu/image.json",
    "etc/haproxy/haproxy.cfg",
    "root/.bashrc",
    "var/lib/ollama/models/manifests/x",
    "var/lib/ollama-gpu/docker.tar.zst",
    "usr/bin/ollama",
)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for name in (*REMOVED, *KEPT, "etc/machine-id"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def test_host_specific_files_are_removed_and_the_products_are_kept(scrub: ModuleType, host: Path) -> None:
    assert scrub.main(["--root", str(host)]) == 0
    assert [name for name in REMOVED if (host / name).exists()] == []
    assert [name for name in KEPT if not (host / name).exists()] == []


def test_the_machine_id_is_emptied(scrub: ModuleType, host: Path) -> None:
    scrub.main(["--root", str(host)])
    assert (host / "etc/machine-id").read_text() == ""


def test_the_log_folders_of_services_are_kept(scrub: ModuleType, host: Path) -> None:
    scrub.main(["--root", str(host)])
    assert (host / "var/log/apt").is_dir()


def test_a_check_removes_nothing_and_lists_what_it_finds(
    scrub: ModuleType, host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scrub.main(["--root", str(host), "--check"])
    assert all((host / name).exists() for name in REMOVED)
    output = capsys.readouterr().out.splitlines()
    assert f"{host}/etc/ssh/ssh_host_ed25519_key" in output
    assert f"{host}/etc/machine-id" in output


def test_a_second_run_finds_nothing(scrub: ModuleType, host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scrub.main(["--root", str(host)])
    capsys.readouterr()
    scrub.main(["--root", str(host)])
    assert capsys.readouterr().out == ""


def test_additional_patterns_are_removed(scrub: ModuleType, host: Path) -> None:
    scrub.main(["--root", str(host), "/usr/bin/oll*"])
    assert not (host / "usr/bin/ollama").exists()
