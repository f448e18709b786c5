"""A model set without the embedding model is rejected before instances use it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ollama_gpu.core import paths
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment import settings
from ollama_gpu.local.lab import locations
from ollama_gpu.models import embedding

WHERE = paths.locate()
SHIPPED = ("dev", "staging", "prod")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_environment_names_an_embedding_model(name: str) -> None:
    assert embedding.of(WHERE, settings.load(WHERE, name)) == "nomic-embed-text"


def test_lab_uses_the_embedding_model_that_it_supplies(tmp_path: Path) -> None:
    where = Paths(WHERE.repository, tmp_path)
    variables_file = locations.locate(where).variables_file
    variables_file.parent.mkdir(parents=True)
    variables_file.write_text(yaml.safe_dump({"lab_embedding_model": "all-minilm:22m"}))
    assert embedding.of(where, settings.load(WHERE, "local")) == "all-minilm:22m"


@pytest.mark.parametrize("served", ["nomic-embed-text", "nomic-embed-text:latest"])
@pytest.mark.parametrize("wanted", ["nomic-embed-text", "nomic-embed-text:latest", ""])
def test_name_without_a_tag_means_latest(wanted: str, served: str) -> None:
    assert embedding.is_served(wanted, ["gemma3:4b", served])


@pytest.mark.parametrize("served", ["nomic-embed-text:v1.5", "team/nomic-embed-text"])
def test_another_tag_or_namespace_is_another_model(served: str) -> None:
    assert not embedding.is_served("nomic-embed-text", [served])


def test_error_for_set_without_embedding_model_shows_the_complete_set() -> None:
    with pytest.raises(UserError, match="nomic-embed-text") as refused:
        embedding.require("nomic-embed-text", ["gemma3:4b"], settings.load(WHERE, "prod"))
    assert 'make models ENV=prod PUBLISH="gemma3:4b nomic-embed-text"' in refused.value.remedy
    assert "inventories/prod/group_vars/all.yml" in refused.value.remedy
