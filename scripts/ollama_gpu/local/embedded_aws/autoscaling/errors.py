"""The errors of the Auto Scaling API, with AWS's error codes."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class ApiError(ServiceException):  # type: ignore[misc]  # moto has no types
    """An error that the API returns to the client."""


class ValidationError(ApiError):
    code = "ValidationError"


class AlreadyExists(ApiError):
    code = "AlreadyExists"


class ResourceInUse(ApiError):
    code = "ResourceInUse"


class ScalingActivityInProgress(ApiError):
    code = "ScalingActivityInProgress"


class InstanceRefreshInProgress(ApiError):
    code = "InstanceRefreshInProgress"


class ActiveInstanceRefreshNotFound(ApiError):
    code = "ActiveInstanceRefreshNotFound"


class IrreversibleInstanceRefresh(ApiError):
    code = "IrreversibleInstanceRefresh"
