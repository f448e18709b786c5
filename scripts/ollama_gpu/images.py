"""Which machine image an environment starts from: the SSM parameter that the bake publishes."""

from __future__ import annotations

from botocore.exceptions import ClientError

from ollama_gpu.aws import Aws, code_of, parameter
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError

STOCK_PARAMETER = "/aws/service/debian/release/12/latest/amd64"
"""Debian's public parameter for its current Debian 12 image (wiki.debian.org/Cloud/AmazonEC2Image)."""


def ensure(environment: Environment, contract: Contract, aws: Aws) -> str | None:
    """Publish the stock image where no image has been published yet; return its id when that was needed.

    Instances of a stock image converge to the same state by the same roles, only slower.
    """
    name = contract.parameter("image", environment.name)
    if parameter(aws, name) is not None:
        return None
    stock = parameter(aws, STOCK_PARAMETER)
    if stock is None:
        raise UserError(
            f"{environment.region} has no public parameter {STOCK_PARAMETER}.",
            f"Bake an image, or write an AMI id into the parameter {name} yourself.",
        )
    aws.ssm.put_parameter(
        Name=name,
        Description="AMI of the next launch template version",
        Value=stock,
        Type="String",
        DataType="aws:ec2:image",
        Tags=[
            {"Key": contract.tags["project"], "Value": contract.project},
            {"Key": contract.tags["environment"], "Value": environment.name},
            {"Key": contract.tags["managed_by"], "Value": "ollama-gpu"},
        ],
    )
    return stock


def forget(environment: Environment, contract: Contract, aws: Aws) -> None:
    """Remove the parameter; images themselves stay."""
    try:
        aws.ssm.delete_parameter(Name=contract.parameter("image", environment.name))
    except ClientError as error:
        if code_of(error) != "ParameterNotFound":
            raise
