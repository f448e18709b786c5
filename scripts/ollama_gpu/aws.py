"""boto3 clients for one environment, SSM's parameters by name, and AWS's refusals in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)

from ollama_gpu.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_acm import ACMClient
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_elasticache import ElastiCacheClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_route53 import Route53Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_INVALID = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "InvalidAccessKeyId",
}
_DENIED = {"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


@dataclass(frozen=True)
class Identity:
    """Who is calling: the account's 12 digits and the caller's ARN."""

    account: str
    arn: str


@dataclass(frozen=True)
class Aws:
    """Clients for a region. ``endpoint`` is None on AWS, the address of the embedded AWS otherwise."""

    region: str
    endpoint: str | None = None

    @cached_property
    def session(self) -> boto3.Session:
        if self.endpoint is None:
            return boto3.Session(region_name=self.region)
        # The embedded AWS takes any credentials; naming them keeps the user's own out of it.
        return boto3.Session(region_name=self.region, aws_access_key_id="testing", aws_secret_access_key="testing")  # noqa: S106

    @cached_property
    def _config(self) -> Config:
        # Through a proxy only to AWS: botocore, unlike Go, would send even 127.0.0.1 there.
        proxies: dict[str, str] | None = None if self.endpoint is None else {}
        retries = {"mode": "standard", "total_max_attempts": 4}
        return Config(retries=retries, connect_timeout=5, read_timeout=60, proxies=proxies)  # type: ignore[arg-type]

    def client(self, service: str) -> Any:
        """A client of any service, by boto3's name; the properties below are the typed ones."""
        return self.session.client(service, endpoint_url=self.endpoint, config=self._config)  # type: ignore[call-overload]

    @cached_property
    def acm(self) -> ACMClient:
        return self.session.client("acm", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def autoscaling(self) -> AutoScalingClient:
        return self.session.client("autoscaling", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        return self.session.client("cloudwatch", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def ec2(self) -> EC2Client:
        return self.session.client("ec2", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def elasticache(self) -> ElastiCacheClient:
        return self.session.client("elasticache", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def elbv2(self) -> ElasticLoadBalancingv2Client:
        return self.session.client("elbv2", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def route53(self) -> Route53Client:
        return self.session.client("route53", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def s3(self) -> S3Client:
        return self.session.client("s3", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def secretsmanager(self) -> SecretsManagerClient:
        return self.session.client("secretsmanager", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def service_quotas(self) -> ServiceQuotasClient:
        return self.session.client("service-quotas", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def ssm(self) -> SSMClient:
        return self.session.client("ssm", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def sts(self) -> STSClient:
        return self.session.client("sts", endpoint_url=self.endpoint, config=self._config)

    @cached_property
    def identity(self) -> Identity:
        """The caller. Raises botocore's errors; ``explain`` words them."""
        answer = self.sts.get_caller_identity()
        return Identity(answer["Account"], answer["Arn"])


def parameter(aws: Aws, name: str) -> str | None:
    """The value of an SSM parameter, or None where it does not exist."""
    try:
        return aws.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except ClientError as error:
        if code_of(error) == "ParameterNotFound":
            return None
        raise


def put_parameter(aws: Aws, name: str, value: str, description: str, tags: dict[str, str]) -> None:
    """Write an SSM parameter of text, over what it holds, and tag it."""
    # With room to grow: past 4 KiB it becomes an advanced parameter by itself.
    aws.ssm.put_parameter(
        Name=name, Description=description, Value=value, Type="String", Tier="Intelligent-Tiering", Overwrite=True
    )
    aws.ssm.add_tags_to_resource(  # put_parameter refuses tags together with Overwrite
        ResourceType="Parameter",
        ResourceId=name,
        Tags=[{"Key": key, "Value": text} for key, text in tags.items()],
    )


def delete_parameter(aws: Aws, name: str) -> None:
    """Remove an SSM parameter, or find that it does not exist."""
    try:
        aws.ssm.delete_parameter(Name=name)
    except ClientError as error:
        if code_of(error) != "ParameterNotFound":
            raise


def code_of(error: ClientError) -> str:
    """AWS's error code, such as ``ParameterNotFound``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def explain(error: BotoCoreError | ClientError) -> UserError:
    """AWS's refusal as one sentence with a remedy."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return UserError(
            "No AWS credentials were found.",
            "Sign in with `aws sso login`, or set AWS_PROFILE, and try again. `make deploy ENV=local` needs none.",
        )
    if isinstance(error, ProfileNotFound):
        return UserError(f"{error}.", "Set AWS_PROFILE to a profile of ~/.aws/config, or unset it.", status=2)
    if isinstance(error, SSOError):
        return UserError(f"The single sign-on session cannot be used: {error}.", "Run `aws sso login` and try again.")
    if isinstance(error, EndpointConnectionError):
        return UserError(f"AWS does not answer: {error}.", "Check the network, the proxy and the region's name.")
    if isinstance(error, ClientError):
        code = code_of(error)
        if code in _EXPIRED:
            return UserError(
                "The AWS credentials have expired.", "Sign in again with `aws sso login` (or renew the session token)."
            )
        if code in _INVALID:
            return UserError(
                f"AWS does not accept the credentials ({code}).",
                "Check AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret.",
            )
        if code in _DENIED:
            return UserError(
                f"AWS denies {error.operation_name}: {error.response['Error'].get('Message', code)}.",
                "Ask for that permission, or use a role that has it.",
            )
        message = error.response.get("Error", {}).get("Message", "no message")
        return UserError(f"AWS refused {error.operation_name}: {code}: {message}", "")
    return UserError(f"The call to AWS failed: {error}", "Check the network and the credentials, then try again.")
