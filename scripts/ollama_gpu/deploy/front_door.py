"""The front door of an environment: the address of Open WebUI, and a chat through it."""

from __future__ import annotations

from typing import Any

from ollama_gpu.core import chat
from ollama_gpu.core.chat import Chat, ChatAddress
from ollama_gpu.environment import secrets
from ollama_gpu.environment.context import Context
from ollama_gpu.local.lab.lab import Lab


def address(context: Context, outputs: dict[str, Any]) -> ChatAddress:
    """Return the address that users open."""
    return Lab(context).chat_address if context.environment.embedded else ChatAddress(outputs["url"])


def try_chat(context: Context, outputs: dict[str, Any]) -> Chat:
    """Send one chat as the first administrator. Raises UserError if it fails."""
    return chat.chat(address(context, outputs), secrets.administrator(context))
