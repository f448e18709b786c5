"""A host that builds Open WebUI's image itself uses this machine's package sources and authorities."""

from __future__ import annotations

from pathlib import Path

import yaml

from ollama_gpu.local.lab import image_build
from tests.unit.local.lab.test_host_settings import settings

SHELL = {
    "PIP_INDEX_URL": "https://name:word@index/simple",
    "PIP_FIND_LINKS": "/opt/wheels",
    "https_proxy": "http://proxy:3128",
    "HOME": "/root",
}


def test_build_gets_this_shells_sources_and_this_machines_authorities(tmp_path: Path) -> None:
    host = settings(environment=SHELL, certificates={"b.crt": b"SECOND", "a.crt": b"FIRST\n"})
    image_build.write("mirror:5000/python:1", host, tmp_path / "lab" / "image-build.yml")
    assert yaml.safe_load((tmp_path / "lab" / "image-build.yml").read_text()) == {
        "open_webui_image": "",
        "open_webui_image_base": "mirror:5000/python:1",
        # PIP_FIND_LINKS is a folder of this machine, which does not exist in a build
        "open_webui_image_build_arguments": {k: v for k, v in SHELL.items() if k in ("PIP_INDEX_URL", "https_proxy")},
        "open_webui_image_build_certificates": "FIRST\nSECOND\n",
    }


def test_only_the_owner_can_read_the_variables(tmp_path: Path) -> None:
    image_build.write("mirror:5000/python:1", settings(environment=SHELL), tmp_path / "image-build.yml")
    assert (tmp_path / "image-build.yml").stat().st_mode & 0o777 == 0o600


def test_find_links_with_a_url_are_passed_on() -> None:
    links = {"PIP_FIND_LINKS": "https://wheels/all"}
    assert settings(environment=links).build_arguments() == links
