"""Helpers for patching moto."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def add_operations(response_class: Any, *operations: Callable[[Any], object]) -> None:
    """Add API operations to moto's response class of a service. A function has the boto3 name of its operation.

    Raises RuntimeError if moto already has the operation: then the completion is no longer needed.
    """
    for operation in operations:
        if hasattr(response_class, operation.__name__):
            raise RuntimeError(f"moto already has {response_class.__name__}.{operation.__name__}")
        setattr(response_class, operation.__name__, operation)


def around(owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace ``owner.name`` with the decorated function, which receives the original as its first argument."""
    original = getattr(owner, name)

    def decorate(replacement: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return replacement(original, *args, **kwargs)

        setattr(owner, name, wrapped)
        return replacement

    return decorate


def parameters(response: Any) -> dict[str, Any]:
    """Return the parameters of a request by their API names, for any wire protocol."""
    response.parse_parameters(response.normalized_request)
    return {**response.params, **{k: v for k, v in response.uri_match.items() if k not in response.params}}
