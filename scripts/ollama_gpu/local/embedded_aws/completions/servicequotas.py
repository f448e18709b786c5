"""Service quotas of EC2: accelerated instances, counted in vCPU, and Elastic IP addresses.

moto 5.2.5 has only the quotas of the service "vpc". The values of instances are those of a production account after its
first increase, enough for the fabric's largest environment. A new account has far less. The quota of addresses is the
default (VPC User Guide, "Amazon VPC quotas").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from .patching import add_operations, around, parameters

ADDRESSES = "L-0263D0A3"

# code: (name as AWS gives it, value)
EC2_QUOTAS = {
    "L-DB2E81BA": ("Running On-Demand G and VT instances", 768.0),
    "L-3819A6DF": ("All G and VT Spot Instance Requests", 768.0),
    "L-417A185B": ("Running On-Demand P instances", 128.0),
    "L-7212CCBC": ("All P4, P3 and P2 Spot Instance Requests", 128.0),
    ADDRESSES: ("EC2-VPC Elastic IPs", 5.0),
}


def apply() -> None:
    """Patch moto's Service Quotas."""
    add_operations(ServiceQuotasResponse, get_aws_default_service_quota)

    @around(ServiceQuotasBackend, "get_service_quota")
    def get_service_quota(original: Callable[..., Any], self: Any, service_code: str, quota_code: str) -> Any:
        if service_code != "ec2":
            return original(self, service_code, quota_code)
        for quota in _quotas(self):
            if quota["QuotaCode"] == quota_code:
                return quota
        raise JsonRESTError("NoSuchResourceException", f"The embedded AWS does not have the quota {quota_code}.")


def get_aws_default_service_quota(self: Any) -> ActionResult:
    """GetAWSDefaultServiceQuota. The default equals the applied value, because increases are not supported."""
    request = parameters(self)
    return ActionResult({"Quota": self.backend.get_service_quota(request["ServiceCode"], request["QuotaCode"])})


def _quotas(backend: Any) -> list[dict[str, Any]]:
    return [
        {
            "ServiceCode": "ec2",
            "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
            "QuotaArn": f"arn:aws:servicequotas:{backend.region_name}:{backend.account_id}:ec2/{code}",
            "QuotaCode": code,
            "QuotaName": name,
            "Value": value,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
        for code, (name, value) in EC2_QUOTAS.items()
    ]
