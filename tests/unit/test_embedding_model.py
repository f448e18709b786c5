"""A model set without the model that embeds is refused before instances take it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ollama_gpu import embedding_model, environments, paths
from ollama_gpu.errors import UserError
from ollama_gpu.lab import places
from ollama_gpu.paths import Paths

WHERE = paths.locate()
SHIPPED = ("dev", "staging", "prod")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_environment_names_one(name: str) -> None:
    assert embedding_model.of(WHERE, environments.load(WHERE, name)) == "nomic-embed-text"


def test_the_lab_names_the_one_that_it_supplies(tmp_path: Path) -> None:
    where = Paths(WHERE.repository, tmp_path)
    handover = places.locate(where).handover
    handover.parent.mkdir(parents=True)
    handover.write_text(yaml.safe_dump({"lab_embedding_model": "all-minilm:22m"}))
    assert embedding_model.of(where, environments.load(WHERE, "local")) == "all-minilm:22m"


@pytest.mark.parametrize("served", ["nomic-embed-text", "nomic-embed-text:latest"])
@pytest.mark.parametrize("wanted", ["nomic-embed-text", "nomic-embed-text:latest", ""])
def test_latest_is_what_a_name_without_a_tag_means(wanted: str, served: str) -> None:
    assert embedding_model.is_served(wanted, ["gemma3:4b", served])


@pytest.mark.parametrize("served", ["nomic-embed-text:v1.5", "team/nomic-embed-text"])
def test_another_tag_or_name_is_another_model(served: str) -> None:
    assert not embedding_model.is_served("nomic-embed-text", [served])


def test_a_set_without_it_is_refused_with_the_set_that_has_it() -> None:
    with pytest.raises(UserError, match="nomic-embed-text") as refused:
        embedding_model.require("nomic-embed-text", ["gemma3:4b"], environments.load(WHERE, "prod"))
    assert 'make models ENV=prod PUBLISH="gemma3:4b nomic-embed-text"' in refused.value.remedy
    assert "inventories/prod/group_vars/all.yml" in refused.value.remedy
