"""The Open WebUI of a release: from the inventory, or else from the role."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.core.paths import Paths, locate
from ollama_gpu.environment import settings
from ollama_gpu.releases import release

DEFAULTS = 'open_webui_image: ""\n'


@pytest.fixture
def where(tmp_path: Path) -> Paths:
    role = tmp_path / "ansible_collections/ollama/gpu/roles/open_webui"
    (role / "defaults").mkdir(parents=True)
    (role / "defaults/main.yml").write_text(DEFAULTS)
    (role / "files/image").mkdir(parents=True)
    (role / "files/image/open-webui.lock").write_text("# a comment\nopen-webui==0.12.4 \\\n    --hash=sha256:02e9\n")
    return Paths(tmp_path, tmp_path / "work")


def write_variables(where: Paths, environment: str, text: str) -> None:
    folder = where.repository / "inventories" / environment / "group_vars"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.yml").write_text(text)


def open_webui(where: Paths, name: str = "prod") -> str:
    return release.open_webui(where, settings.load(locate(), name))


def test_image_built_on_host_is_named_by_package(where: Paths) -> None:
    assert open_webui(where) == "open-webui==0.12.4"


def test_image_of_inventory_wins(where: Paths) -> None:
    write_variables(where, "prod", "open_webui_image: registry/open-webui@sha256:2\n")
    assert open_webui(where) == "registry/open-webui@sha256:2"


def test_image_of_lab_is_read_from_its_supplies(where: Paths) -> None:
    write_variables(where, "local", 'open_webui_image: "{{ lab_open_webui_image }}"\n')
    assert open_webui(where, "local") == "{{ lab_open_webui_image }}"
    (where.work / "lab").mkdir(parents=True)
    (where.work / "lab/supplies.yml").write_text("lab_open_webui_image: mirror/open-webui@sha256:3\n")
    assert open_webui(where, "local") == "mirror/open-webui@sha256:3"
