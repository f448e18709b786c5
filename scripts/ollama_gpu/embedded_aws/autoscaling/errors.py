"""The errors of the Auto Scaling API, by the codes that the SDKs know."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class ApiError(ServiceException):  # type: ignore[misc]  # moto has no types
    """An error that goes to the caller of the API as AWS would send it."""


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
