"""Open WebUI's settings for the embedding model."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from tests.unit.collection.programs import ROLES

ROLE = ROLES / "open_webui"
ASKED = (
    "BYPASS_EMBEDDING_AND_RETRIEVAL",
    "RAG_EMBEDDING_CONTENT_PREFIX",
    "RAG_EMBEDDING_ENGINE",
    "RAG_EMBEDDING_MODEL",
    "RAG_EMBEDDING_QUERY_PREFIX",
)


def environment(embedder: str) -> dict[str, Any]:
    """Return Open WebUI's settings for this model from the role's templates."""
    loader = DataLoader()
    variables: dict[str, Any] = {}
    for file in ("defaults/main.yml", "vars/main.yml"):
        variables |= loader.load_from_file(str(ROLE / file), trusted_as_template=True)
    templar = Templar(loader, variables={**variables, "open_webui_embedding_model": embedder})
    return {name: templar.template(trust_as_template(f"{{{{ _open_webui_environment.{name} }}}}")) for name in ASKED}


def test_without_a_model_documents_are_added_to_the_chat_as_a_whole() -> None:
    found = environment("")
    assert found["BYPASS_EMBEDDING_AND_RETRIEVAL"] is True
    assert found["RAG_EMBEDDING_ENGINE"] == found["RAG_EMBEDDING_MODEL"] == ""


@pytest.mark.parametrize("name", ["nomic-embed-text", "nomic-embed-text:v1.5", "mirror.example/team/nomic-embed-text"])
def test_a_model_that_was_trained_with_prefixes_gets_them_with_their_space(name: str) -> None:
    found = environment(name)
    assert (found["RAG_EMBEDDING_ENGINE"], found["RAG_EMBEDDING_MODEL"]) == ("ollama", name)
    assert found["BYPASS_EMBEDDING_AND_RETRIEVAL"] is False
    assert found["RAG_EMBEDDING_CONTENT_PREFIX"] == "search_document: "
    assert found["RAG_EMBEDDING_QUERY_PREFIX"] == "search_query: "


def test_other_models_get_no_prefixes() -> None:
    found = environment("all-minilm:22m")
    assert found["RAG_EMBEDDING_CONTENT_PREFIX"] == found["RAG_EMBEDDING_QUERY_PREFIX"] == ""
