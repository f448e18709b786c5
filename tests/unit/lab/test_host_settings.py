"""Images reach the outside as this machine does: its mirrors, its certificate authorities, what apt was told."""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.lab.host_settings import HostSettings, apt_options, mirrors

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


def test_of_apt_only_how_to_reach_and_believe_a_mirror_is_carried() -> None:
    assert apt_options(DUMP) == {
        "Acquire::http::Proxy": "http://proxy:3128",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Retries": "3",
    }


def test_a_debian_machine_lends_its_mirrors() -> None:
    targets = "http://near/debian bookworm\nhttp://near/debian bookworm-updates\nhttp://near/sec bookworm-security\n"
    assert mirrors(targets, debian=True) == ("http://near/debian", "http://near/sec")


def test_other_repositories_and_other_systems_are_not_taken_for_debian() -> None:
    assert mirrors("http://tools.example/apt stable\n", debian=True) == (None, None)
    assert mirrors("http://near/ubuntu noble\nhttp://near/ubuntu noble-security\n", debian=False) == (None, None)
    assert settings(debian=None).sources("bookworm") == []


def test_the_first_of_several_mirrors_wins() -> None:
    targets = "http://first/debian bookworm\nhttp://second/debian bookworm\n"
    assert mirrors(targets, debian=True)[0] == "http://first/debian"


def test_only_what_is_set_reaches_a_build() -> None:
    chosen = settings(environment={"GOPROXY": "http://go", "GOFLAGS": "", "PIP_INDEX_URL": "http://pip", "HOME": "/x"})
    assert chosen.go() == {"GOPROXY": "http://go"}
    assert chosen.pip() == {"PIP_INDEX_URL": "http://pip"}
    assert chosen.proxies() == {}


def test_certificates_are_written_as_they_were(tmp_path: Path) -> None:
    settings(certificates={"own.crt": b"PEM"}).write_certificates(tmp_path / "new")
    assert (tmp_path / "new" / "own.crt").read_bytes() == b"PEM"
