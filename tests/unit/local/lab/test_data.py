"""The data tier gets its secrets as files, not on command lines, and data stay with their secrets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab import authority, data
from ollama_gpu.local.lab.data import DataSecrets
from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.terraform.progress import NoProgress

SECRETS = DataSecrets("master", "p'w \"1", "token")


class Recorded(Docker):
    """An engine with at most one container and one volume that records its commands."""

    def __init__(self) -> None:
        self.labels: dict[str, str] | None = None
        self.identity: str | None = None
        self.commands: list[tuple[str, ...]] = []

    def image(self, reference: str) -> dict[str, Any] | None:
        return {"Id": reference}

    def container(self, _name: str) -> dict[str, Any] | None:
        return None if self.labels is None else {"State": {"Running": True}, "Config": {"Labels": self.labels}}

    def remove(self, *_containers: str) -> None:
        self.labels = None

    def has_network(self, _name: str) -> bool:
        return True

    def succeeds(self, *arguments: str) -> bool:
        self.commands.append(arguments)
        return True

    def output(self, *arguments: str, **_options: object) -> str:
        self.commands.append(arguments)
        labels = dict(each.removeprefix("--label=").split("=", 1) for each in arguments if each.startswith("--label="))
        if arguments[0] == "run":
            self.labels = labels
        elif arguments[:2] == ("volume", "create"):
            self.identity = labels["ollama-gpu.lab.identity"]
        elif arguments[:2] == ("volume", "rm"):
            self.identity = None
        elif arguments[:2] == ("volume", "ls"):
            return "" if self.identity is None else f"lab-data {self.identity}\nother-volume "
        return ""

    @property
    def verbs(self) -> list[str]:
        return [" ".join(each[:2]) if each[0] == "volume" else each[0] for each in self.commands]


def start(docker: Docker, folder: Path, values: DataSecrets = SECRETS, **options: Any) -> data.DataTier:
    return data.start("lab-data", ("db", "redis"), values, folder, "data:1", docker, NoProgress(), **options)


def test_no_command_line_contains_a_secret(tmp_path: Path) -> None:
    docker = Recorded()
    start(docker, tmp_path)
    words = [word for arguments in docker.commands for word in arguments]
    assert "run" in words
    assert not [word for word in words for secret in (SECRETS.master_password, SECRETS.cache_token) if secret in word]


def test_only_the_owner_can_read_the_secrets_files(tmp_path: Path) -> None:
    start(Recorded(), tmp_path)
    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o077 == 0
    assert {file.name: file.read_text() for file in folder.iterdir()} == vars(SECRETS)
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_start_returns_addresses_and_the_authority(tmp_path: Path) -> None:
    signer = authority.ensure(tmp_path / "authority")
    tier = start(Recorded(), tmp_path / "data", authority=signer)
    assert tier.database == ("db", 5432)
    assert tier.cache == ("redis", 6379)
    assert tier.authority == signer.certificate
    chain = (tmp_path / "data" / "tls" / "server.crt").read_bytes()
    certificate, issuer = x509.load_pem_x509_certificates(chain)
    certificate.verify_directly_issued_by(issuer)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["db", "redis", "localhost"]
    assert issuer == x509.load_pem_x509_certificate(signer.certificate.read_bytes())


def test_running_data_tier_is_kept(tmp_path: Path) -> None:
    docker = Recorded()
    start(docker, tmp_path)
    docker.commands.clear()
    start(docker, tmp_path)
    assert docker.verbs == ["volume ls", "exec"]


def test_other_secrets_replace_the_container_and_keep_the_data(tmp_path: Path) -> None:
    docker = Recorded()
    start(docker, tmp_path)
    docker.commands.clear()
    start(docker, tmp_path, replace(SECRETS, cache_token="new"))
    assert docker.verbs == ["volume ls", "run", "exec"]


def test_data_of_another_checkout_are_refused(tmp_path: Path) -> None:
    docker = Recorded()
    start(docker, tmp_path / "one")
    docker.commands.clear()
    with pytest.raises(UserError, match="belong to another checkout") as refused:
        start(docker, tmp_path / "two")
    assert "ollama-gpu lab data stop lab-data" in refused.value.remedy
    assert docker.verbs == ["volume ls"]
    assert not (tmp_path / "two").exists()


def test_throw_away_replaces_data_of_another_checkout(tmp_path: Path) -> None:
    docker = Recorded()
    start(docker, tmp_path / "one")
    docker.commands.clear()
    start(docker, tmp_path / "two", throw_away=True)
    assert docker.verbs == ["volume ls", "volume rm", "volume create", "run", "exec"]
    start(docker, tmp_path / "two")


def test_stop_removes_data_and_secrets(tmp_path: Path) -> None:
    docker = Recorded()
    start(docker, tmp_path / "one")
    data.stop("lab-data", docker, folder=tmp_path / "one")
    assert docker.labels is None
    assert docker.identity is None
    assert not (tmp_path / "one").exists()
    start(docker, tmp_path / "two")


def test_secrets_in_the_folder_are_reused(tmp_path: Path) -> None:
    start(Recorded(), tmp_path)
    assert data.load_or_create_secrets(tmp_path) == SECRETS


def test_another_server_gets_a_new_container_with_the_same_volume(tmp_path: Path) -> None:
    docker = Recorded()
    start(docker, tmp_path, database="db-1", vault="lab-vault")
    docker.commands.clear()
    start(docker, tmp_path, database="db-2", vault="lab-vault")
    assert docker.verbs == ["volume ls", "run", "exec"]
    run = next(each for each in docker.commands if each[0] == "run")
    assert {"--env=DATABASE=db-2", "--volume=lab-data:/data", "--volume=lab-vault:/vault"} <= set(run)
