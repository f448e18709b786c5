"""The three ways in which a completion touches moto."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def add_operations(response_class: Any, *operations: Callable[[Any], object]) -> None:
    """Add API operations, named as boto3 names them, to moto's response class of a service.

    Raises RuntimeError where moto has the operation: a newer moto no longer needs the completion.
    """
    for operation in operations:
        if hasattr(response_class, operation.__name__):
            raise RuntimeError(f"moto already has {response_class.__name__}.{operation.__name__}")
        setattr(response_class, operation.__name__, operation)


def around(owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace ``owner.name`` by the decorated function, which gets the original as its first argument."""
    original = getattr(owner, name)

    def decorate(replacement: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return replacement(original, *args, **kwargs)

        setattr(owner, name, wrapped)
        return replacement

    return decorate


def parameters(response: Any) -> dict[str, Any]:
    """The request's parameters by the names of the service's API model, whatever its wire protocol."""
    response.parse_parameters(response.normalized_request)
    return {**response.params, **{k: v for k, v in response.uri_match.items() if k not in response.params}}
