"""The programs that run Open WebUI's containers, and the settings inside them."""

from __future__ import annotations

import importlib.util
import re
import sys
from importlib.machinery import SourceFileLoader
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.unit.collection.programs import ROLES

FILES = ROLES / "open_webui" / "files"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_loader(path.stem, SourceFileLoader(path.stem, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load(FILES / "container" / "settings.py")
    monkeypatch.setitem(sys.modules, "settings", module)
    return module


@pytest.fixture
def starter() -> ModuleType:
    return load(FILES / "host" / "ollama-gpu-open-webui")


@pytest.fixture
def configuration(tmp_path: Path) -> dict[str, Any]:
    for name in ("open-webui", "open-webui-administrator", "open-webui-master"):
        (tmp_path / f"{name}.env").write_text("DATABASE_URL=postgresql://user:hidden@host/name\n")
    return {
        "image": "registry/open-webui@sha256:" + "0" * 64,
        "uid": 10001,
        "gid": 10001,
        "memory": "2g",
        "pids": 512,
        "stop_seconds": 30,
        "gpu": False,
        "programs": "/programs",
        "environment": "/etc/open-webui/open-webui.env",
        "authorities": "",
        "data": "/var/lib/open-webui",
        "secrets": str(tmp_path / "open-webui.env"),
        "administrator": str(tmp_path / "open-webui-administrator.env"),
        "master": str(tmp_path / "open-webui-master.env"),
    }


def mounted(command: list[str]) -> list[str]:
    return [value.split(":")[1] for flag, value in pairwise(command) if flag == "--volume"]


@pytest.mark.parametrize(
    ("purpose", "port", "secrets"),
    [
        ("serve", "8081", ["open-webui.env"]),
        ("migrate", "", ["open-webui.env", "open-webui-administrator.env"]),
        ("database", "", ["open-webui.env", "open-webui-master.env"]),
    ],
)
def test_each_purpose_gets_only_its_secrets_as_files(
    starter: ModuleType, configuration: dict[str, Any], purpose: str, port: str, secrets: list[str]
) -> None:
    command = starter.arguments(configuration, purpose, port, "host")
    assert [path for path in mounted(command) if path.startswith("/run/secrets/")] == [
        f"/run/secrets/{name}" for name in secrets
    ]
    assert "hidden" not in " ".join(command)


def test_a_container_has_no_more_rights_than_it_needs(starter: ModuleType, configuration: dict[str, Any]) -> None:
    command = " ".join(starter.arguments(configuration, "serve", "8081", "host"))
    for wanted in (
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--user 10001:10001",
        "--memory 2g",
    ):
        assert wanted in command


@pytest.mark.parametrize("gpu", [True, False])
def test_gpu_runtime_is_used_only_with_a_gpu(starter: ModuleType, configuration: dict[str, Any], gpu: bool) -> None:
    command = starter.arguments({**configuration, "gpu": gpu}, "serve", "8081", "host")
    assert ("nvidia" in command) == gpu
    assert ("NVIDIA_VISIBLE_DEVICES=nvidia.com/gpu=all" in command) == gpu
    assert "nvidia" not in starter.arguments({**configuration, "gpu": gpu}, "migrate", "", "host")


@pytest.mark.parametrize(
    "words", [[], ["serve"], ["serve", "web"], ["migrate", "8081"], ["remove"], ["serve", "8081", "x"]]
)
def test_invalid_command_line_prints_the_usage(starter: ModuleType, words: list[str]) -> None:
    with pytest.raises(SystemExit, match="usage: ollama-gpu-open-webui serve PORT"):
        starter.main(words)


def test_secret_is_read_literally(settings: ModuleType) -> None:
    password = """a b$HOME'"\\=#"""
    assert settings.parse([f"WEBUI_ADMIN_PASSWORD={password}\n", "\n", "# note\n"]) == {
        "WEBUI_ADMIN_PASSWORD": password
    }


def test_invalid_secrets_file_is_reported_without_its_content(settings: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("GOOD=1\nhunter2\n")
    with pytest.raises(SystemExit, match=r"a\.env: line 2 is not KEY=VALUE") as stopped:
        settings.load({}, tmp_path)
    assert "hunter2" not in str(stopped.value)


def test_missing_secret_is_reported(settings: ModuleType) -> None:
    with pytest.raises(SystemExit, match="REDIS_URL not set"):
        settings.required({"DATABASE_URL": "x"}, "DATABASE_URL", "REDIS_URL")


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_database_address_is_converted_for_libpq(settings: ModuleType, scheme: str) -> None:
    assert settings.libpq(f"{scheme}://u:p+q@h/d?sslmode=verify-full") == "postgresql://u:p+q@h/d?sslmode=verify-full"


def test_invalid_address_is_reported_without_its_password(
    settings: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ProgrammingError(Exception):
        pass

    def refuse(address: str) -> None:
        raise ProgrammingError(f'invalid connection option "{address}"')

    driver = ModuleType("psycopg")
    vars(driver).update(ProgrammingError=ProgrammingError, conninfo=SimpleNamespace(conninfo_to_dict=refuse))
    monkeypatch.setitem(sys.modules, "psycopg", driver)
    with pytest.raises(SystemExit, match="DATABASE_URL is not a valid database address") as stopped:
        settings.database({"DATABASE_URL": "hidden@host"}, "DATABASE_URL")
    assert "hidden" not in str(stopped.value)


@pytest.mark.parametrize(
    ("revision", "behind"), [(None, True), ("one", True), ("two", False), ("of a newer version", False)]
)
def test_migration_is_pending_only_for_an_empty_or_older_schema(revision: str | None, behind: bool) -> None:
    schema = load(FILES / "container" / "schema.py")
    assert schema.is_behind(revision, "two", {"one", "two"}) == behind


def test_the_newest_revision_is_read_from_the_scripts_without_running_them(tmp_path: Path) -> None:
    schema = load(FILES / "container" / "schema.py")
    scripts = {
        "first.py": "revision: str = 'one'\ndown_revision: str | None = None\n",
        "second.py": "import open_webui.absent\nrevision = 'two'\ndown_revision = 'one'\n",
        "branch.py": "revision = 'side'\ndown_revision = 'one'\n",
        "merge.py": "revision = 'three'\ndown_revision = ('two', 'side')\ndef upgrade(): revision = 'no'\n",
        "helper.py": "name = 'no revision'\n",
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
    assert schema.newest(schema.revisions(tmp_path)) == ("three", {"one", "two", "side", "three"})
    (tmp_path / "merge.py").unlink()
    with pytest.raises(RuntimeError, match="side, two"):
        schema.newest(schema.revisions(tmp_path))


def test_a_process_waits_for_the_migration_and_then_serves(settings: ModuleType) -> None:
    serve = load(FILES / "container" / "serve.py")
    reasons = iter(["empty", "empty", None])
    waited: list[float] = []
    serve.wait_for_schema(lambda: next(reasons), clock=lambda: sum(waited), sleep=waited.append)
    assert len(waited) == 2


def test_process_reports_what_it_timed_out_waiting_for(settings: ModuleType) -> None:
    serve = load(FILES / "container" / "serve.py")
    waited: list[float] = []
    with pytest.raises(SystemExit, match="the schema is old after 120 s"):
        serve.wait_for_schema(lambda: "the schema is old", clock=lambda: sum(waited), sleep=waited.append)


@pytest.fixture
def migrate(settings: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("advisory_lock", "schema"):
        monkeypatch.setitem(sys.modules, name, load(FILES / "container" / f"{name}.py"))
    return load(FILES / "container" / "migrate.py")


class Refusals:
    """A server that rejects connections with these messages, one after the other, and then accepts."""

    def __init__(self, *words: str) -> None:
        self._words = list(words)

    def __call__(self) -> str:
        if self._words:
            raise ConnectionError(self._words.pop(0))
        return "connected"


@pytest.mark.parametrize(
    "words",
    [
        'FATAL: password authentication failed for user "open_webui"',
        'FATAL:  database "openwebui" does not exist',
        'FATAL:  role "open_webui" does not exist',
    ],
)
def test_missing_database_is_reported_at_once(migrate: ModuleType, words: str) -> None:
    with pytest.raises(migrate.NotMade):
        migrate.connect(Refusals(words), ConnectionError, sleep=pytest.fail)


def test_a_migration_waits_for_a_server_that_does_not_answer(migrate: ModuleType) -> None:
    waited: list[float] = []
    refusals = Refusals("connection refused", "FATAL: the database system is starting up")
    assert migrate.connect(refusals, ConnectionError, clock=lambda: sum(waited), sleep=waited.append) == "connected"
    assert len(waited) == 2


def test_server_that_does_not_answer_is_reported(migrate: ModuleType) -> None:
    waited: list[float] = []
    with pytest.raises(SystemExit, match="did not answer for 180 s: connection refused"):
        migrate.connect(
            Refusals(*["connection refused"] * 100), ConnectionError, clock=lambda: sum(waited), sleep=waited.append
        )


class Answers:
    """A connection that answers a query with the first row whose key the query contains."""

    def __init__(self, **rows: Any) -> None:
        self._rows = rows
        self.asked: list[str] = []

    def execute(self, query: str, _: Any = None) -> Answers:
        self.asked.append(query)
        return self

    def fetchone(self) -> Any:
        return next((row for key, row in self._rows.items() if key in self.asked[-1]), None)


@pytest.mark.parametrize(
    ("rows", "lacks"),
    [
        ({"has_schema_privilege": (False,), "pg_extension": (1,)}, "cannot create tables"),
        ({"has_schema_privilege": (True,)}, "extension vector"),
    ],
)
def test_incomplete_database_is_detected(migrate: ModuleType, rows: dict[str, Any], lacks: str) -> None:
    with pytest.raises(migrate.NotMade, match=lacks):
        migrate.require_made(Answers(**rows), "pgvector")
    migrate.require_made(Answers(has_schema_privilege=(True,), pg_extension=(1,)), "pgvector")
    migrate.require_made(Answers(has_schema_privilege=(True,)), "qdrant")


def test_role_handles_the_exit_status_of_a_missing_database(migrate: ModuleType) -> None:
    variables = yaml.safe_load((FILES.parent / "vars" / "main.yml").read_text())
    assert variables["_open_webui_not_made"] == migrate.NOT_MADE


def test_second_host_waits_for_the_lock_and_reports_it(capsys: pytest.CaptureFixture[str]) -> None:
    lock = load(FILES / "container" / "advisory_lock.py")
    taken, free = Answers(pg_try_advisory_lock=(False,)), Answers(pg_try_advisory_lock=(True,))
    lock.take(free, "migrates")
    assert "pg_advisory_lock" not in free.asked[-1]
    assert capsys.readouterr().out == ""
    lock.take(taken, "migrates")
    assert "select pg_advisory_lock" in taken.asked[-1]
    assert capsys.readouterr().out == "waiting: another host migrates\n"


def test_the_image_is_locked_to_one_version_with_hashes() -> None:
    text = (FILES / "image" / "open-webui.lock").read_text()
    (version,) = re.findall(r"^open-webui==(\S+)", text, re.MULTILINE)
    assert "--hash=sha256:" in text
    # the version is the same in the image, its label and its documentation
    role = FILES.parent
    for file in ("vars/main.yml", "meta/argument_specs.yml", "files/image/Dockerfile", "files/image/requirements.in"):
        assert version in (role / file).read_text(), file
    asked = [line for line in (FILES / "image" / "requirements.in").read_text().splitlines() if line and line[0] != "#"]
    assert all("==" in line for line in asked)
    locked = (FILES / "image" / "requirements.lock").read_text()
    assert "open-webui" not in locked  # its dependencies include CUDA
    assert locked.count("==") > 100


@pytest.mark.parametrize(
    ("revision", "raised", "words"),
    [
        ("raise RuntimeError('column exists')", RuntimeError, "column exists"),
        ("# ended without an error, half-way", SystemExit, "the schema changed from old to old, not to new"),
    ],
)
def test_a_migration_that_does_not_reach_the_newest_revision_fails(
    migrate: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, revision: str, raised: type, words: str
) -> None:
    """The boot fails, the instance is abandoned, and the old version continues to serve."""
    (tmp_path / "open_webui").mkdir()
    (tmp_path / "open_webui" / "__init__.py").touch()
    (tmp_path / "open_webui" / "config.py").write_text(revision)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("open_webui", "open_webui.config"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    schema = sys.modules["schema"]
    monkeypatch.setattr(schema, "wanted", lambda: ("new", {"old", "new"}))
    monkeypatch.setattr(schema, "present", lambda _: "old")
    with pytest.raises(raised, match=words):
        migrate.migrate(Answers())
