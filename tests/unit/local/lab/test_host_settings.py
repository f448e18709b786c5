"""Images use this machine's mirrors, certificate authorities and apt options."""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.local.lab.host_settings import HostSettings, apt_options, mirrors

DUMP = """\
APT::Architecture "amd64";
Acquire "";
Acquire::http::Proxy "http://proxy:3128";
Acquire::Check-Valid-Until "false";
Acquire::GzipIndexes "true";
Acquire::IndexTargets::deb::Packages::MetaKey "x";
Acquire::Retries "3";
Dir::Cache "var/cache/apt";
"""


def settings(**changes: object) -> HostSettings:
    values: dict[str, object] = {
        "certificates": {},
        "apt": {},
        "debian": "http://near/debian",
        "security": "http://near/sec",
        "environment": {},
    }
    return HostSettings(**{**values, **changes})  # type: ignore[arg-type]


def test_only_apt_options_for_mirrors_are_used() -> None:
    assert apt_options(DUMP) == {
        "Acquire::http::Proxy": "http://proxy:3128",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Retries": "3",
    }


def test_mirrors_of_a_debian_machine_are_used() -> None:
    targets = "http://near/debian bookworm\nhttp://near/debian bookworm-updates\nhttp://near/sec bookworm-security\n"
    assert mirrors(targets, debian=True) == ("http://near/debian", "http://near/sec")


def test_other_repositories_and_systems_have_no_mirrors() -> None:
    assert mirrors("http://tools.example/apt stable\n", debian=True) == (None, None)
    assert mirrors("http://near/ubuntu noble\nhttp://near/ubuntu noble-security\n", debian=False) == (None, None)
    assert settings(debian=None).sources("bookworm") == []


def test_first_of_several_mirrors_is_used() -> None:
    targets = "http://first/debian bookworm\nhttp://second/debian bookworm\n"
    assert mirrors(targets, debian=True)[0] == "http://first/debian"


def test_build_gets_only_variables_that_are_set() -> None:
    chosen = settings(environment={"GOPROXY": "http://go", "GOFLAGS": "", "PIP_INDEX_URL": "http://pip", "HOME": "/x"})
    assert chosen.go() == {"GOPROXY": "http://go"}
    assert chosen.pip() == {"PIP_INDEX_URL": "http://pip"}
    assert chosen.proxies() == {}


def test_certificates_are_written_unchanged(tmp_path: Path) -> None:
    settings(certificates={"own.crt": b"PEM"}).write_certificates(tmp_path / "new")
    assert (tmp_path / "new" / "own.crt").read_bytes() == b"PEM"
