"""What moto 5.2.5 lacks, one module per AWS service, each with an ``apply()`` that patches moto's classes."""

from __future__ import annotations

import functools
import importlib

MODULES = (
    "backup",
    "budgets",
    "cloudwatch",
    "ec2",
    "efs",
    "elasticache",
    "elbv2",
    "kms",
    "logs",
    "rds",
    "route53",
    "s3",
    "secretsmanager",
    "security_groups",
    "servicequotas",
    "wafv2",
)


@functools.cache
def apply_all() -> None:
    """Apply every completion, once per process: a second patch over the first would run twice."""
    for name in MODULES:
        importlib.import_module(f"{__name__}.{name}").apply()
