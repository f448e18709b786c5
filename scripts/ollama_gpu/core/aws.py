"""boto3 clients for one environment, access to SSM parameters, and user errors for AWS's errors."""

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

from ollama_gpu.core.errors import UserError

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
    """The caller: the account's 12-digit ID and the caller's ARN."""

    account: str
    arn: str


@dataclass(frozen=True)
class Aws:
    """Clients for one region. ``endpoint`` is None for AWS, else the address of the embedded AWS."""

    region: str
    endpoint: str | None = None

    @cached_property
    def session(self) -> boto3.Session:
        if self.endpoint is None:
            return boto3.Session(region_name=self.region)
        # The embedded AWS accepts any credentials. Explicit ones keep it from seeing the user's.
        return boto3.Session(region_name=self.region, aws_access_key_id="testing", aws_secret_access_key="testing")  # noqa: S106

    @cached_property
    def _config(self) -> Config:
        # Use a proxy only for AWS: botocore, unlike Go, would send even requests to 127.0.0.1 through it.
        proxies: dict[str, str] | None = None if self.endpoint is None else {}
        retries = {"mode": "standard", "total_max_attempts": 4}
        return Config(retries=retries, connect_timeout=5, read_timeout=60, proxies=proxies)  # type: ignore[arg-type]

    def client(self, service: str) -> Any:
        """An untyped client of any service, by its boto3 name. The properties below are typed."""
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
        """The caller. Raises botocore's errors; ``explain`` turns them into user errors."""
        answer = self.sts.get_caller_identity()
        return Identity(answer["Account"], answer["Arn"])


def parameter(aws: Aws, name: str) -> str | None:
    """The value of an SSM parameter, or None if it does not exist."""
    try:
        return aws.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except ClientError as error:
        if code_of(error) == "ParameterNotFound":
            return None
        raise


def put_parameter(aws: Aws, name: str, value: str, description: str, tags: dict[str, str]) -> None:
    """Write a text SSM parameter, overwriting any value, and tag it."""
    # Intelligent-Tiering turns it into an advanced parameter if the value exceeds 4 KiB.
    aws.ssm.put_parameter(
        Name=name, Description=description, Value=value, Type="String", Tier="Intelligent-Tiering", Overwrite=True
    )
    aws.ssm.add_tags_to_resource(  # put_parameter refuses tags together with Overwrite
        ResourceType="Parameter",
        ResourceId=name,
        Tags=[{"Key": key, "Value": text} for key, text in tags.items()],
    )


def delete_parameter(aws: Aws, name: str) -> None:
    """Delete an SSM parameter if it exists."""
    try:
        aws.ssm.delete_parameter(Name=name)
    except ClientError as error:
        if code_of(error) != "ParameterNotFound":
            raise


def code_of(error: ClientError) -> str:
    """AWS's error code, such as ``ParameterNotFound``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def explain(error: BotoCoreError | ClientError) -> UserError:
    """Turn an error from AWS into a user error with a remedy."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return UserError(
            "No AWS credentials were found.",
            "Sign in with `aws sso login`, or set AWS_PROFILE, and try again. `make deploy ENV=local` needs none.",
        )
    if isinstance(error, ProfileNotFound):
        return UserError(f"{error}.", "Set AWS_PROFILE to a profile of ~/.aws/config, or unset it.", status=2)
    if isinstance(error, SSOError):
        return UserError(f"The single sign-on session is not usable: {error}.", "Run `aws sso login` and try again.")
    if isinstance(error, EndpointConnectionError):
        return UserError(f"AWS does not answer: {error}.", "Check the network, the proxy and the name of the region.")
    if isinstance(error, ClientError):
        code = code_of(error)
        if code in _EXPIRED:
            return UserError(
                "The AWS credentials have expired.", "Sign in again with `aws sso login` (or renew the session token)."
            )
        if code in _INVALID:
            return UserError(
                f"AWS does not accept the credentials ({code}).",
                "Check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            )
        if code in _DENIED:
            return UserError(
                f"AWS denies {error.operation_name}: {error.response['Error'].get('Message', code)}.",
                "Request the permission, or use a role that has it.",
            )
        message = error.response.get("Error", {}).get("Message", "no message")
        return UserError(f"AWS returned an error for {error.operation_name}: {code}: {message}", "")
    return UserError(f"The call to AWS failed: {error}", "Check the network and the credentials, then try again.")
