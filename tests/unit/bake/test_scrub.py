"""Sealing removes what two instances must not share, says what it removed, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.collection import programs


@pytest.fixture(scope="module")
def scrub() -> ModuleType:
    return programs.load("image_seal", "scrub")


GOES = (
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
STAYS = (
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
    for name in (*GOES, *STAYS, "etc/machine-id"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def test_a_hosts_own_goes_and_the_products_stays(scrub: ModuleType, host: Path) -> None:
    assert scrub.main(["--root", str(host)]) == 0
    assert [name for name in GOES if (host / name).exists()] == []
    assert [name for name in STAYS if not (host / name).exists()] == []


def test_the_machine_id_is_there_and_empty(scrub: ModuleType, host: Path) -> None:
    scrub.main(["--root", str(host)])
    assert (host / "etc/machine-id").read_text() == ""


def test_folders_of_logs_stay_for_their_services(scrub: ModuleType, host: Path) -> None:
    scrub.main(["--root", str(host)])
    assert (host / "var/log/apt").is_dir()


def test_looking_removes_nothing_and_names_what_it_found(
    scrub: ModuleType, host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scrub.main(["--root", str(host), "--check"])
    assert all((host / name).exists() for name in GOES)
    said = capsys.readouterr().out.splitlines()
    assert f"{host}/etc/ssh/ssh_host_ed25519_key" in said
    assert f"{host}/etc/machine-id" in said


def test_a_second_time_there_is_nothing(scrub: ModuleType, host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scrub.main(["--root", str(host)])
    capsys.readouterr()
    scrub.main(["--root", str(host)])
    assert capsys.readouterr().out == ""


def test_further_patterns_go_as_well(scrub: ModuleType, host: Path) -> None:
    scrub.main(["--root", str(host), "/usr/bin/oll*"])
    assert not (host / "usr/bin/ollama").exists()
