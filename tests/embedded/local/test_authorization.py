"""The embedded AWS denies what a role is not allowed to do, with AWS's messages and error codes."""

from __future__ import annotations

import functools
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ollama_gpu.environment.embedded_aws import Endpoint
from ollama_gpu.local.embedded_aws.authorization.policies import Permission, Policies, why_denied
from tests.embedded.conftest import REGION, wait_until

Client = Callable[..., Any]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def statement(actions: str | list[str], resources: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="session")
def as_session(endpoint: Endpoint) -> Callable[[dict[str, str]], Client]:
    """Return a function that creates clients with the credentials of a session."""

    def clients(keys: dict[str, str]) -> Client:
        @functools.cache  # creating a client takes longer than a call
        def make(service: str, **config: Any) -> Any:
            return boto3.session.Session().client(
                service,
                region_name=REGION,
                endpoint_url=endpoint.url,
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys["SessionToken"],
                config=Config(retries={"total_max_attempts": 1}, proxies={}, **config),
            )

        return make

    return clients


def make_role(client: Client, name: str) -> dict[str, str]:
    """Create a role without policies and return its name and ARN."""
    created = client("iam").create_role(RoleName=name, Path="/fleet/", AssumeRolePolicyDocument=TRUST)["Role"]
    return {"name": created["RoleName"], "arn": created["Arn"]}


def allow_only(client: Client, role: dict[str, str], *statements: dict[str, Any]) -> None:
    client("iam").put_role_policy(RoleName=role["name"], PolicyName="own", PolicyDocument=document(*statements))


def credentials(client: Client, role: dict[str, str], session: str = "i-0123", **more: Any) -> dict[str, str]:
    """Get credentials as the lab does for an instance."""
    keys: dict[str, str] = client("sts").assume_role(RoleArn=role["arn"], RoleSessionName=session, **more)[
        "Credentials"
    ]
    return keys


@pytest.fixture
def role(client: Client, name: str) -> dict[str, str]:
    return make_role(client, name)


@pytest.fixture
def allow(client: Client, role: dict[str, str]) -> Callable[..., None]:
    """Return a function that sets the only inline policy of the role."""
    return functools.partial(allow_only, client, role)


@pytest.fixture
def own(client: Client, role: dict[str, str], as_session: Callable[[dict[str, str]], Client]) -> Client:
    """Clients with the role's session."""
    return as_session(credentials(client, role))


def denied(call: Callable[..., Any], **arguments: Any) -> tuple[int, str, str]:
    """Return status, code and message of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def make_secret(client: Client, name: str, **more: Any) -> str:
    return str(client("secretsmanager").create_secret(Name=name, SecretString=f"of {name}", **more)["ARN"])


@pytest.fixture(scope="module")
def environment(client: Client) -> dict[str, str]:
    """The resources of an environment `prod` as Terraform creates them, and those of another one, `dev`."""
    name = f"t{uuid.uuid4().hex[:10]}"
    s3, logs, ssm = client("s3"), client("logs"), client("ssm")
    for bucket in (f"{name}-uploads", f"{name}-artifacts", f"{name}-other"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=f"{name}-artifacts", Key="prod/models/abc", Body=b"model")
    s3.put_object(Bucket=f"{name}-artifacts", Key="dev/models/abc", Body=b"model")
    for stage in ("prod", "dev"):
        logs.create_log_group(logGroupName=f"/{name}/{stage}/gateway")
        ssm.put_parameter(Name=f"/{name}/{stage}/release", Value=stage, Type="String")
    return {
        "name": name,
        "secret": make_secret(client, f"{name}/prod/key"),
        "other_secret": make_secret(client, f"{name}/dev/key"),
        "key": client("kms").create_key()["KeyMetadata"]["Arn"],
    }


@pytest.fixture(scope="module")
def instance(client: Client, environment: dict[str, str], as_session: Callable[[dict[str, str]], Client]) -> Client:
    """Clients of an instance with the statements of terraform/modules/fleet/policies.tf."""
    name, middle = environment["name"], f"{REGION}:123456789012"
    via = {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}
    role = make_role(client, name)
    allow_only(
        client,
        role,
        statement("ssm:UpdateInstanceInformation", f"arn:aws:ec2:{middle}:instance/*"),
        statement(["ssm:GetParameter", "ssm:GetParameters"], [f"arn:aws:ssm:{middle}:parameter/{name}/prod/release"]),
        statement(["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], [environment["secret"]]),
        statement("kms:Decrypt", environment["key"], Condition=via),
        statement("s3:GetObject", f"arn:aws:s3:::{name}-artifacts/prod/models/*"),
        statement(
            ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            f"arn:aws:s3:::{name}-uploads/*",
        ),
        statement("s3:ListBucket", f"arn:aws:s3:::{name}-uploads"),
        statement(
            "cloudwatch:PutMetricData", "*", Condition={"StringEquals": {"cloudwatch:namespace": f"{name}/prod"}}
        ),
        statement(
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            f"arn:aws:logs:{middle}:log-group:/{name}/prod/gateway:*",
        ),
        statement("ec2:DescribeTags", "*"),
        statement(
            ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            f"arn:aws:autoscaling:{middle}:autoScalingGroup:*:autoScalingGroupName/{name}",
        ),
        statement("autoscaling:DescribeAutoScalingInstances", "*"),
    )
    return as_session(credentials(client, role))


def test_role_reads_allowed_secret_by_name_and_arn(instance: Client, environment: dict[str, str]) -> None:
    secrets = instance("secretsmanager")
    for identifier in (environment["secret"], f"{environment['name']}/prod/key", environment["secret"][:-7]):
        assert secrets.get_secret_value(SecretId=identifier)["SecretString"].endswith("/prod/key")
    assert secrets.describe_secret(SecretId=environment["secret"])["Name"] == f"{environment['name']}/prod/key"


def test_role_cannot_read_secret_of_other_environment(instance: Client, environment: dict[str, str]) -> None:
    secrets, role = instance("secretsmanager"), environment["name"]
    for identifier in (environment["other_secret"], f"{environment['name']}/dev/key"):
        assert denied(secrets.get_secret_value, SecretId=identifier) == (
            400,
            "AccessDeniedException",
            f"User: arn:aws:sts::123456789012:assumed-role/{role}/i-0123 is not authorized to perform: "
            f"secretsmanager:GetSecretValue on resource: {environment['other_secret']} because no identity-based "
            "policy allows the secretsmanager:GetSecretValue action",
        )
    assert denied(secrets.batch_get_secret_value, SecretIdList=[environment["secret"]])[1] == "AccessDeniedException"
    assert denied(secrets.put_secret_value, SecretId=environment["secret"], SecretString="x")[0] == 400
    assert denied(secrets.get_secret_value, SecretId="unknown/secret")[1] == "AccessDeniedException"


def test_role_reads_only_allowed_parameters(instance: Client, environment: dict[str, str]) -> None:
    ssm, name = instance("ssm"), environment["name"]
    mine, others = f"/{name}/prod/release", f"/{name}/dev/release"
    arn = f"arn:aws:ssm:{REGION}:123456789012:parameter{mine}"
    for name_or_arn in (mine, f"{mine}:1", arn):
        assert ssm.get_parameter(Name=name_or_arn)["Parameter"]["Value"] == "prod"
    assert len(ssm.get_parameters(Names=[mine])["Parameters"]) == 1
    assert denied(ssm.get_parameters, Names=[mine, others])[1] == "AccessDeniedException"
    assert f"parameter{others}" in denied(ssm.get_parameter, Name=others)[2]
    assert f"parameter/{name}" in denied(ssm.get_parameters_by_path, Path=f"/{name}")[2]
    assert denied(ssm.put_parameter, Name=mine, Value="x", Overwrite=True)[1] == "AccessDeniedException"


def test_role_reads_and_writes_only_allowed_objects(instance: Client, environment: dict[str, str]) -> None:
    s3, name = instance("s3"), environment["name"]
    uploads = f"{name}-uploads"
    s3.put_object(Bucket=uploads, Key="a folder/ä+b.txt", Body=b"content")
    assert s3.get_object(Bucket=uploads, Key="a folder/ä+b.txt")["Body"].read() == b"content"
    assert s3.list_objects_v2(Bucket=uploads, Prefix="a folder/")["KeyCount"] == 1
    s3.copy_object(Bucket=uploads, Key="model", CopySource=f"{name}-artifacts/prod/models/abc")
    s3.delete_objects(Bucket=uploads, Delete={"Objects": [{"Key": "model"}]})

    status, code, message = denied(s3.put_object, Bucket=f"{name}-artifacts", Key="x", Body=b"y" * 20_000_000)
    assert (status, code) == (403, "AccessDenied")
    assert f'perform: s3:PutObject on resource: "arn:aws:s3:::{name}-artifacts/x" because' in message
    source = f"{name}-artifacts/dev/models/abc"
    assert "s3:GetObject" in denied(s3.copy_object, Bucket=uploads, Key="model", CopySource=source)[2]
    objects = {"Objects": [{"Key": "prod/models/abc"}]}
    assert "s3:DeleteObject" in denied(s3.delete_objects, Bucket=f"{name}-artifacts", Delete=objects)[2]
    assert "s3:ListAllMyBuckets" in denied(s3.list_buckets)[2]
    assert denied(s3.head_object, Bucket=f"{name}-other", Key="x")[:2] == (403, "403")  # HEAD has no body
    assert denied(s3.create_multipart_upload, Bucket=f"{name}-other", Key="x")[1] == "AccessDenied"


def test_missing_object_is_access_denied_without_list_permission(instance: Client, environment: dict[str, str]) -> None:
    s3, name = instance("s3"), environment["name"]
    assert s3.head_object(Bucket=f"{name}-artifacts", Key="prod/models/abc")["ContentLength"] == 5
    status, _, message = denied(s3.get_object, Bucket=f"{name}-artifacts", Key="prod/models/none")
    assert (status, "s3:ListBucket" in message) == (403, True)
    assert denied(s3.get_object, Bucket=f"{name}-uploads", Key="none")[1] == "NoSuchKey"


def test_role_puts_metrics_only_in_allowed_namespace(instance: Client, environment: dict[str, str]) -> None:
    cloudwatch, name = instance("cloudwatch"), environment["name"]
    many = [{"MetricName": f"load-{number}", "Value": 1.0} for number in range(300)]  # enough for a compressed request
    cloudwatch.put_metric_data(Namespace=f"{name}/prod", MetricData=many)
    status, code, message = denied(cloudwatch.put_metric_data, Namespace=f"{name}/dev", MetricData=many)
    assert (status, code) == (400, "AccessDeniedException")
    assert "no identity-based policy allows the cloudwatch:PutMetricData action" in message


def test_role_writes_only_to_allowed_log_groups(instance: Client, environment: dict[str, str]) -> None:
    logs, name = instance("logs"), environment["name"]
    event = {"timestamp": 1, "message": "x"}
    mine = {"logGroupName": f"/{name}/prod/gateway", "logStreamName": "i-0123"}
    logs.create_log_stream(**mine)
    logs.put_log_events(**mine, logEvents=[event])
    assert len(logs.describe_log_streams(logGroupName=mine["logGroupName"])["logStreams"]) == 1
    others = {**mine, "logGroupName": f"/{name}/dev/gateway"}
    assert f"log-group:/{name}/dev/gateway:log-stream:i-0123" in denied(logs.create_log_stream, **others)[2]
    assert denied(logs.put_log_events, **others, logEvents=[event])[1] == "AccessDeniedException"
    assert denied(logs.get_log_events, **mine)[1] == "AccessDeniedException"


def test_role_completes_lifecycle_actions_only_of_allowed_group(
    client: Client, instance: Client, environment: dict[str, str], network: dict[str, Any]
) -> None:
    name = environment["name"]
    image = client("ec2").describe_images()["Images"][0]["ImageId"]
    template = client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": image})
    for group in (name, f"{name}-other"):
        client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=group,
            MinSize=0,
            MaxSize=0,
            LaunchTemplate={"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"]},
            VPCZoneIdentifier=network["subnets"][0],
        )
    autoscaling = instance("autoscaling")
    action = {"LifecycleHookName": "boot", "LifecycleActionResult": "CONTINUE", "InstanceId": "i-0123"}
    # the role may complete the action; only the hook does not exist
    assert denied(autoscaling.complete_lifecycle_action, AutoScalingGroupName=name, **action)[1] == "ValidationError"
    others = {"AutoScalingGroupName": f"{name}-other", **action}
    status, code, message = denied(autoscaling.complete_lifecycle_action, **others)
    assert (status, code) == (403, "AccessDenied")
    assert f":autoScalingGroupName/{name}-other because" in message
    assert autoscaling.describe_auto_scaling_instances()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert denied(autoscaling.describe_auto_scaling_groups)[1] == "AccessDenied"


def test_other_actions_are_authorized_too(instance: Client, environment: dict[str, str]) -> None:
    assert instance("ec2").describe_tags()["ResponseMetadata"]["HTTPStatusCode"] == 200
    status, code, message = denied(instance("ec2").describe_instances)
    assert (status, code) == (403, "UnauthorizedOperation")
    assert "is not authorized to perform: ec2:DescribeInstances because" in message
    assert denied(instance("efs").describe_file_systems)[:2] == (403, "AccessDeniedException")
    assert denied(instance("iam").list_roles)[:2] == (403, "AccessDenied")
    encrypt = instance("kms").encrypt  # the role may, but only through a service
    assert environment["key"] in denied(encrypt, KeyId=environment["key"], Plaintext=b"x")[2]
    decrypt = {"KeyId": environment["key"], "CiphertextBlob": b"x" * 200}
    assert denied(instance("kms").decrypt, **decrypt)[1] == "AccessDeniedException"


def test_presigned_url_has_permissions_of_its_signer(instance: Client, environment: dict[str, str]) -> None:
    name = environment["name"]
    for version in ("s3", "s3v4"):
        presigned = instance("s3", signature_version=version).generate_presigned_url
        mine = presigned("get_object", Params={"Bucket": f"{name}-artifacts", "Key": "prod/models/abc"})
        assert fetched(mine) == (200, b"model")
        status, body = fetched(presigned("get_object", Params={"Bucket": f"{name}-artifacts", "Key": "dev/models/abc"}))
        assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)


def fetched(address: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - the address is the test's
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_explicit_deny_overrides_allow(
    client: Client, allow: Callable[..., None], own: Client, role: dict[str, str]
) -> None:
    arn = make_secret(client, f"{role['name']}/denied")
    allow(statement("secretsmanager:*", "*"), {**statement("*", arn), "Effect": "Deny"})
    message = denied(own("secretsmanager").get_secret_value, SecretId=arn)[2]
    assert message.endswith("with an explicit deny in an identity-based policy")
    other = make_secret(client, f"{role['name']}/other")
    assert own("secretsmanager").get_secret_value(SecretId=other)["SecretString"]


def test_default_version_of_attached_policy_applies(client: Client, role: dict[str, str], own: Client) -> None:
    iam = client("iam")
    policy = iam.create_policy(PolicyName=role["name"], PolicyDocument=document(statement("sqs:*", "*")))
    arn = policy["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role["name"], PolicyArn=arn)
    assert denied(own("ec2").describe_tags)[1] == "UnauthorizedOperation"
    iam.create_policy_version(
        PolicyArn=arn, PolicyDocument=document(statement("ec2:Describe*", "*")), SetAsDefault=True
    )
    assert own("ec2").describe_tags()["Tags"] is not None
    iam.detach_role_policy(RoleName=role["name"], PolicyArn=arn)
    iam.attach_role_policy(RoleName=role["name"], PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess")
    assert own("ec2").describe_tags()["Tags"] is not None


def test_permissions_boundary_limits_policies(
    client: Client, allow: Callable[..., None], own: Client, role: dict[str, str]
) -> None:
    allow(statement("*", "*"))
    own("secretsmanager").list_secrets()
    boundary = client("iam").create_policy(
        PolicyName=role["name"], PolicyDocument=document(statement("ec2:DescribeTags", "*"))
    )["Policy"]["Arn"]
    client("iam").put_role_permissions_boundary(RoleName=role["name"], PermissionsBoundary=boundary)
    assert own("ec2").describe_tags()["Tags"] is not None
    message = denied(own("secretsmanager").list_secrets)[2]
    assert message.endswith("because no permissions boundary allows the secretsmanager:ListSecrets action")


def test_session_policy_limits_session(
    client: Client,
    allow: Callable[..., None],
    role: dict[str, str],
    as_session: Callable[[dict[str, str]], Client],
) -> None:
    allow(statement("*", "*"))
    clients = as_session(credentials(client, role, Policy=document(statement("ec2:*", "*"))))
    assert clients("ec2").describe_tags()["Tags"] is not None
    assert "no session policy allows" in denied(clients("secretsmanager").list_secrets)[2]


def test_expired_session_is_rejected(
    endpoint: Endpoint, allow: Callable[..., None], role: dict[str, str], as_session: Any
) -> None:
    allow(statement("*", "*"))
    administrator = boto3.session.Session().client(
        "sts",
        region_name=REGION,
        endpoint_url=endpoint.url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(parameter_validation=False, proxies={}),  # boto3 requires at least 900 s
    )
    clients = as_session(credentials(lambda _: administrator, role, DurationSeconds=1))

    def code(call: Callable[..., Any]) -> str | None:
        try:
            call()
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return None

    assert wait_until(lambda: code(clients("ssm").describe_parameters)) == "ExpiredTokenException"
    assert denied(clients("sts").get_caller_identity)[:2] == (403, "ExpiredToken")
    assert denied(clients("s3").list_buckets)[:2] == (400, "ExpiredToken")
    assert denied(clients("ec2").describe_tags)[:2] == (400, "RequestExpired")


def test_get_caller_identity_is_always_allowed(allow: Callable[..., None], own: Client, role: dict[str, str]) -> None:
    assert own("sts").get_caller_identity()["Arn"].endswith(f":assumed-role/{role['name']}/i-0123")
    allow({**statement("*", "*"), "Effect": "Deny"})
    assert own("sts").get_caller_identity()["Account"] == "123456789012"
    assert denied(own("sts").assume_role, RoleArn=role["arn"], RoleSessionName="other")[1] == "AccessDenied"


def test_deleted_role_has_no_permissions(client: Client, own: Client, role: dict[str, str]) -> None:
    client("iam").delete_role(RoleName=role["name"])
    assert denied(own("ec2").describe_tags)[1] == "UnauthorizedOperation"


def test_administrator_is_not_restricted(client: Client, environment: dict[str, str]) -> None:
    assert client("secretsmanager").get_secret_value(SecretId=environment["other_secret"])["SecretString"]
    assert denied(client("s3").get_object, Bucket=f"{environment['name']}-other", Key="x")[1] == "NoSuchKey"


PERMISSION = Permission("s3:GetObject", "arn:aws:s3:::bucket/a/b", {"s3:ExistingKey": "value"})


@pytest.mark.parametrize(
    ("elements", "is_granted"),
    [
        ({"Action": "S3:getobject"}, True),
        ({"Action": "s3:Get?bject"}, True),
        ({"Action": "s3:Get.bject"}, False),
        ({"NotAction": "s3:Put*"}, True),
        ({"NotAction": ["s3:Put*", "s3:Get*"]}, False),
        ({"Resource": "arn:aws:s3:::bucket/*"}, True),
        ({"Resource": "arn:aws:s3:::Bucket/*"}, False),
        ({"Resource": "arn:aws:s3:::bucket"}, False),
        ({"NotResource": "arn:aws:s3:::bucket/a*"}, False),
        ({"NotResource": "arn:aws:s3:::other/*"}, True),
        ({"Condition": {"StringEquals": {"s3:existingkey": ["other", "value"]}}}, True),
        ({"Condition": {"StringEquals": {"s3:ExistingKey": "Value"}}}, False),
        ({"Condition": {"StringEqualsIgnoreCase": {"s3:ExistingKey": "Value"}}}, True),
        ({"Condition": {"StringNotEquals": {"s3:ExistingKey": ["other", "value"]}}}, False),
        ({"Condition": {"StringLike": {"s3:ExistingKey": "v*"}}}, True),
        ({"Condition": {"StringEquals": {"s3:absent": "value"}}}, False),
        ({"Condition": {"StringEqualsIfExists": {"s3:absent": "value"}}}, True),
        ({"Condition": {"StringNotEquals": {"s3:absent": "value"}}}, True),
        ({"Condition": {"Null": {"s3:absent": "true", "s3:ExistingKey": "false"}}}, True),
        ({"Condition": {"Null": {"s3:ExistingKey": "true"}}}, False),
        ({"Condition": {"StringLike": {"s3:ExistingKey": "*"}, "Bool": {"aws:SecureTransport": "true"}}}, False),
    ],
)
def test_statement_matches_if_all_elements_match(elements: dict[str, Any], is_granted: bool) -> None:
    if "NotAction" not in elements:
        elements = {"Action": "s3:*", **elements}
    if "NotResource" not in elements:
        elements = {"Resource": "*", **elements}
    policies = Policies(identity=(json.dumps({"Statement": {"Effect": "Allow", **elements}}),))
    assert (why_denied(policies, PERMISSION) is None) is is_granted


@pytest.mark.parametrize(
    ("pattern", "is_granted"),
    [
        ("arn:aws:elasticfilesystem:*:123456789012:access-point/fsap-*", True),
        ("arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1", True),
        ("arn:aws:elasticfilesystem:*:access-point/fsap-1", False),  # a wildcard does not match a colon
        ("arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-2", False),
    ],
)
def test_arn_conditions_compare_arns_part_by_part(pattern: str, is_granted: bool) -> None:
    point = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1"
    permission = Permission("elasticfilesystem:ClientMount", "*", {"elasticfilesystem:AccessPointArn": point})
    condition = {"ArnEquals": {"elasticfilesystem:AccessPointArn": pattern}}
    policies = Policies(identity=(document(statement("elasticfilesystem:ClientMount", "*", Condition=condition)),))
    assert (why_denied(policies, permission) is None) is is_granted


@pytest.mark.parametrize(
    "unsupported",
    [
        {"Resource": "arn:aws:s3:::bucket/${aws:username}/*"},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    ],
)
def test_unsupported_policy_element_raises_not_implemented(unsupported: dict[str, Any]) -> None:
    policy = document({"Effect": "Allow", "Action": "s3:*", "Resource": "*", **unsupported})
    with pytest.raises(NotImplementedError):
        why_denied(Policies(identity=(policy,)), PERMISSION)
