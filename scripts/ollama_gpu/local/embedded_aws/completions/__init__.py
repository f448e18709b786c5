"""What moto 5.2.5 lacks, one module per AWS service. The ``apply()`` of each module patches moto's classes.

An operation whose docstring names only an API action follows the page of that action in the service's API Reference.
"""

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
    """Apply every completion, once per process: applied twice, a patch would wrap itself."""
    for name in MODULES:
        importlib.import_module(f"{__name__}.{name}").apply()
