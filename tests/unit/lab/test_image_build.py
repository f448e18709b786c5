"""A host that makes Open WebUI's image itself reaches the outside as this machine does."""

from __future__ import annotations

from pathlib import Path

import yaml

from ollama_gpu.lab import image_build
from tests.unit.lab.test_host_settings import settings

SHELL = {
    "PIP_INDEX_URL": "https://name:word@index/simple",
    "PIP_FIND_LINKS": "/opt/wheels",
    "https_proxy": "http://proxy:3128",
    "HOME": "/root",
}


def test_it_is_told_what_this_shell_knows_and_whom_this_machine_trusts(tmp_path: Path) -> None:
    host = settings(environment=SHELL, certificates={"b.crt": b"SECOND", "a.crt": b"FIRST\n"})
    image_build.write("mirror:5000/python:1", host, tmp_path / "lab" / "image-build.yml")
    assert yaml.safe_load((tmp_path / "lab" / "image-build.yml").read_text()) == {
        "open_webui_image": "",
        "open_webui_image_base": "mirror:5000/python:1",
        # a folder of this machine is none in a build
        "open_webui_image_build_arguments": {k: v for k, v in SHELL.items() if k in ("PIP_INDEX_URL", "https_proxy")},
        "open_webui_image_build_certificates": "FIRST\nSECOND\n",
    }


def test_an_address_with_a_password_is_for_its_owner_only(tmp_path: Path) -> None:
    image_build.write("mirror:5000/python:1", settings(environment=SHELL), tmp_path / "image-build.yml")
    assert (tmp_path / "image-build.yml").stat().st_mode & 0o777 == 0o600


def test_links_at_an_address_are_handed_on() -> None:
    links = {"PIP_FIND_LINKS": "https://wheels/all"}
    assert settings(environment=links).build_arguments() == links
