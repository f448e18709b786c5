"""The documentation site builds without network access, and a dead link fails the build."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ollama_gpu.core.paths import locate

pytestmark = pytest.mark.process

ROOT = locate().repository
MKDOCS = ROOT / ".venv" / "bin" / "mkdocs"


def build(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [str(MKDOCS), "build", "--strict", "--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    return tmp_path


def test_site_builds(tmp_path: Path) -> None:
    built = build(ROOT, tmp_path / "site")
    assert built.returncode == 0, built.stdout + built.stderr
    page = (tmp_path / "site" / "operations.html").read_text()
    assert 'id="alarm-queue"' in page
    assert "fonts.googleapis.com" not in page


@pytest.mark.parametrize("link", ["missing.md", "daily.md#missing", "../README.md"])
def test_dead_link_fails_the_build(copy: Path, link: str) -> None:
    page = copy / "docs" / "tests.md"
    page.write_text(page.read_text() + f"\n[link]({link})\n")
    built = build(copy, copy / "site")
    assert built.returncode != 0
    assert link.split("#")[-1] in built.stdout + built.stderr


def test_page_outside_the_navigation_fails_the_build(copy: Path) -> None:
    (copy / "docs" / "extra.md").write_text("# Extra\n")
    built = build(copy, copy / "site")
    assert built.returncode != 0
    assert "extra.md" in built.stdout + built.stderr


def test_site_needs_no_network_at_build_time() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert settings["theme"]["font"] is False
    assert settings["plugins"] == ["search"]
