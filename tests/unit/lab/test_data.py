"""The data tier gets its secrets by files: nothing that anybody can list holds one."""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.lab import data
from ollama_gpu.lab.data import DataSecrets
from ollama_gpu.lab.docker import Docker
from ollama_gpu.progress import NoProgress

SECRETS = DataSecrets("master", "p'w \"1", "token")


class Recorded(Docker):
    """An engine that does as it is told and remembers what it was told; the certificate is ``PEM``."""

    def __init__(self, running: bool) -> None:
        self.is_running = running
        self.told: list[tuple[str, ...]] = []

    def running(self, _name: str) -> bool:
        return self.is_running

    def remove(self, *containers: str) -> None:
        self.told.append(("remove", *containers))

    def has_network(self, _name: str) -> bool:
        return True

    def succeeds(self, *arguments: str) -> bool:
        self.told.append(arguments)
        return True

    def output(self, *arguments: str, **_options: object) -> str:
        self.told.append(arguments)
        if arguments[0] == "cp":
            Path(arguments[-1]).write_text("PEM")
        return ""


def start(docker: Docker, folder: Path) -> data.DataTier:
    return data.start("lab-data", ("db", "redis"), SECRETS, folder, "data:1", docker, NoProgress())


def test_no_command_line_holds_a_secret(tmp_path: Path) -> None:
    docker = Recorded(running=False)
    start(docker, tmp_path)
    words = [word for arguments in docker.told for word in arguments]
    assert "run" in words
    assert not [word for word in words for secret in (SECRETS.master_password, SECRETS.cache_token) if secret in word]


def test_secrets_lie_in_files_that_only_their_owner_reads(tmp_path: Path) -> None:
    start(Recorded(running=False), tmp_path)
    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o077 == 0
    assert {file.name: file.read_text() for file in folder.iterdir()} == vars(SECRETS)
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_where_it_answers_and_what_verifies_it_is_told(tmp_path: Path) -> None:
    tier = start(Recorded(running=False), tmp_path)
    assert tier.database == ("db", 5432)
    assert tier.cache == ("redis", 6379)
    assert tier.authority.read_text() == "PEM"


def test_one_that_runs_is_taken_as_it_is(tmp_path: Path) -> None:
    docker = Recorded(running=True)
    start(docker, tmp_path)
    assert {arguments[0] for arguments in docker.told} == {"exec", "cp"}
