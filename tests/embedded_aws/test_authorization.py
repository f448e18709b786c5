"""What an instance's role may not, the embedded AWS refuses to it, in the words and codes of AWS."""

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

from ollama_gpu.embedded_aws.authorization.policies import Need, Policies, why_refused
from ollama_gpu.embedded_aws.process import Endpoint

from .conftest import REGION, wait_until

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
    """Makes the clients of a session's credentials."""

    def clients(keys: dict[str, str]) -> Client:
        @functools.cache  # to make a client takes longer than to use it
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
    """A role without any policy: its name and ARN."""
    made = client("iam").create_role(RoleName=name, Path="/fleet/", AssumeRolePolicyDocument=TRUST)["Role"]
    return {"name": made["RoleName"], "arn": made["Arn"]}


def allow_only(client: Client, role: dict[str, str], *statements: dict[str, Any]) -> None:
    client("iam").put_role_policy(RoleName=role["name"], PolicyName="own", PolicyDocument=document(*statements))


def credentials(client: Client, role: dict[str, str], session: str = "i-0123", **more: Any) -> dict[str, str]:
    """As the lab asks for an instance's credentials."""
    keys: dict[str, str] = client("sts").assume_role(RoleArn=role["arn"], RoleSessionName=session, **more)[
        "Credentials"
    ]
    return keys


@pytest.fixture
def role(client: Client, name: str) -> dict[str, str]:
    return make_role(client, name)


@pytest.fixture
def allow(client: Client, role: dict[str, str]) -> Callable[..., None]:
    """Gives the role its only inline policy."""
    return functools.partial(allow_only, client, role)


@pytest.fixture
def own(client: Client, role: dict[str, str], as_session: Callable[[dict[str, str]], Client]) -> Client:
    """The clients of the role's session."""
    return as_session(credentials(client, role))


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[int, str, str]:
    """The status, the code and the message of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def make_secret(client: Client, name: str, **more: Any) -> str:
    return str(client("secretsmanager").create_secret(Name=name, SecretString=f"of {name}", **more)["ARN"])


@pytest.fixture(scope="module")
def environment(client: Client) -> dict[str, str]:
    """An environment's things, as its Terraform makes them, and beside them those of another one."""
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
    """The clients of an instance with the statements of terraform/modules/fleet/policies.tf."""
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


def test_a_role_reads_its_own_secret_by_name_and_by_arn(instance: Client, environment: dict[str, str]) -> None:
    secrets = instance("secretsmanager")
    for identifier in (environment["secret"], f"{environment['name']}/prod/key", environment["secret"][:-7]):
        assert secrets.get_secret_value(SecretId=identifier)["SecretString"].endswith("/prod/key")
    assert secrets.describe_secret(SecretId=environment["secret"])["Name"] == f"{environment['name']}/prod/key"


def test_a_role_cannot_read_another_environments_secret(instance: Client, environment: dict[str, str]) -> None:
    secrets, role = instance("secretsmanager"), environment["name"]
    for identifier in (environment["other_secret"], f"{environment['name']}/dev/key"):
        assert refused(secrets.get_secret_value, SecretId=identifier) == (
            400,
            "AccessDeniedException",
            f"User: arn:aws:sts::123456789012:assumed-role/{role}/i-0123 is not authorized to perform: "
            f"secretsmanager:GetSecretValue on resource: {environment['other_secret']} because no identity-based "
            "policy allows the secretsmanager:GetSecretValue action",
        )
    assert refused(secrets.batch_get_secret_value, SecretIdList=[environment["secret"]])[1] == "AccessDeniedException"
    assert refused(secrets.put_secret_value, SecretId=environment["secret"], SecretString="x")[0] == 400
    assert refused(secrets.get_secret_value, SecretId="there/is/none")[1] == "AccessDeniedException"


def test_a_role_reads_its_own_parameter_and_not_anothers(instance: Client, environment: dict[str, str]) -> None:
    ssm, name = instance("ssm"), environment["name"]
    mine, others = f"/{name}/prod/release", f"/{name}/dev/release"
    arn = f"arn:aws:ssm:{REGION}:123456789012:parameter{mine}"
    for asked in (mine, f"{mine}:1", arn):
        assert ssm.get_parameter(Name=asked)["Parameter"]["Value"] == "prod"
    assert len(ssm.get_parameters(Names=[mine])["Parameters"]) == 1
    assert refused(ssm.get_parameters, Names=[mine, others])[1] == "AccessDeniedException"
    assert f"parameter{others}" in refused(ssm.get_parameter, Name=others)[2]
    assert f"parameter/{name}" in refused(ssm.get_parameters_by_path, Path=f"/{name}")[2]
    assert refused(ssm.put_parameter, Name=mine, Value="x", Overwrite=True)[1] == "AccessDeniedException"


def test_a_role_writes_objects_only_where_it_may(instance: Client, environment: dict[str, str]) -> None:
    s3, name = instance("s3"), environment["name"]
    uploads = f"{name}-uploads"
    s3.put_object(Bucket=uploads, Key="a folder/ä+b.txt", Body=b"content")
    assert s3.get_object(Bucket=uploads, Key="a folder/ä+b.txt")["Body"].read() == b"content"
    assert s3.list_objects_v2(Bucket=uploads, Prefix="a folder/")["KeyCount"] == 1
    s3.copy_object(Bucket=uploads, Key="model", CopySource=f"{name}-artifacts/prod/models/abc")
    s3.delete_objects(Bucket=uploads, Delete={"Objects": [{"Key": "model"}]})

    status, code, message = refused(s3.put_object, Bucket=f"{name}-artifacts", Key="x", Body=b"y" * 20_000_000)
    assert (status, code) == (403, "AccessDenied")
    assert f'perform: s3:PutObject on resource: "arn:aws:s3:::{name}-artifacts/x" because' in message
    source = f"{name}-artifacts/dev/models/abc"
    assert "s3:GetObject" in refused(s3.copy_object, Bucket=uploads, Key="model", CopySource=source)[2]
    doomed = {"Objects": [{"Key": "prod/models/abc"}]}
    assert "s3:DeleteObject" in refused(s3.delete_objects, Bucket=f"{name}-artifacts", Delete=doomed)[2]
    assert "s3:ListAllMyBuckets" in refused(s3.list_buckets)[2]
    assert refused(s3.head_object, Bucket=f"{name}-other", Key="x")[:2] == (403, "403")  # HEAD has no body to read
    assert refused(s3.create_multipart_upload, Bucket=f"{name}-other", Key="x")[1] == "AccessDenied"


def test_who_may_not_list_a_bucket_does_not_learn_that_an_object_is_missing(
    instance: Client, environment: dict[str, str]
) -> None:
    s3, name = instance("s3"), environment["name"]
    assert s3.head_object(Bucket=f"{name}-artifacts", Key="prod/models/abc")["ContentLength"] == 5
    status, _, message = refused(s3.get_object, Bucket=f"{name}-artifacts", Key="prod/models/none")
    assert (status, "s3:ListBucket" in message) == (403, True)
    assert refused(s3.get_object, Bucket=f"{name}-uploads", Key="none")[1] == "NoSuchKey"


def test_metrics_only_in_the_own_namespace(instance: Client, environment: dict[str, str]) -> None:
    cloudwatch, name = instance("cloudwatch"), environment["name"]
    many = [{"MetricName": f"load-{number}", "Value": 1.0} for number in range(300)]  # so many are sent compressed
    cloudwatch.put_metric_data(Namespace=f"{name}/prod", MetricData=many)
    status, code, message = refused(cloudwatch.put_metric_data, Namespace=f"{name}/dev", MetricData=many)
    assert (status, code) == (400, "AccessDeniedException")
    assert "no identity-based policy allows the cloudwatch:PutMetricData action" in message


def test_log_streams_only_in_the_own_groups(instance: Client, environment: dict[str, str]) -> None:
    logs, name = instance("logs"), environment["name"]
    event = {"timestamp": 1, "message": "x"}
    mine = {"logGroupName": f"/{name}/prod/gateway", "logStreamName": "i-0123"}
    logs.create_log_stream(**mine)
    logs.put_log_events(**mine, logEvents=[event])
    assert len(logs.describe_log_streams(logGroupName=mine["logGroupName"])["logStreams"]) == 1
    others = {**mine, "logGroupName": f"/{name}/dev/gateway"}
    assert f"log-group:/{name}/dev/gateway:log-stream:i-0123" in refused(logs.create_log_stream, **others)[2]
    assert refused(logs.put_log_events, **others, logEvents=[event])[1] == "AccessDeniedException"
    assert refused(logs.get_log_events, **mine)[1] == "AccessDeniedException"


def test_lifecycle_actions_only_of_the_own_group(
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
    # it may: what is wrong is the hook
    assert refused(autoscaling.complete_lifecycle_action, AutoScalingGroupName=name, **action)[1] == "ValidationError"
    others = {"AutoScalingGroupName": f"{name}-other", **action}
    status, code, message = refused(autoscaling.complete_lifecycle_action, **others)
    assert (status, code) == (403, "AccessDenied")
    assert f":autoScalingGroupName/{name}-other because" in message
    assert autoscaling.describe_auto_scaling_instances()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert refused(autoscaling.describe_auto_scaling_groups)[1] == "AccessDenied"


def test_other_actions_are_judged_too(instance: Client, environment: dict[str, str]) -> None:
    assert instance("ec2").describe_tags()["ResponseMetadata"]["HTTPStatusCode"] == 200
    status, code, message = refused(instance("ec2").describe_instances)
    assert (status, code) == (403, "UnauthorizedOperation")
    assert "is not authorized to perform: ec2:DescribeInstances because" in message
    assert refused(instance("efs").describe_file_systems)[:2] == (403, "AccessDeniedException")
    assert refused(instance("iam").list_roles)[:2] == (403, "AccessDenied")
    encrypt = instance("kms").encrypt  # the role may, but by way of a service only
    assert environment["key"] in refused(encrypt, KeyId=environment["key"], Plaintext=b"x")[2]
    decrypt = {"KeyId": environment["key"], "CiphertextBlob": b"x" * 200}
    assert refused(instance("kms").decrypt, **decrypt)[1] == "AccessDeniedException"


def test_a_presigned_address_does_what_its_signer_may(instance: Client, environment: dict[str, str]) -> None:
    name = environment["name"]
    for version in ("s3", "s3v4"):
        presigned = instance("s3", signature_version=version).generate_presigned_url
        mine = presigned("get_object", Params={"Bucket": f"{name}-artifacts", "Key": "prod/models/abc"})
        assert fetched(mine) == (200, b"model")
        status, body = fetched(presigned("get_object", Params={"Bucket": f"{name}-artifacts", "Key": "dev/models/abc"}))
        assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)


def fetched(address: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - it is the test's own address
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_deny_wins_over_every_allow(
    client: Client, allow: Callable[..., None], own: Client, role: dict[str, str]
) -> None:
    arn = make_secret(client, f"{role['name']}/denied")
    allow(statement("secretsmanager:*", "*"), {**statement("*", arn), "Effect": "Deny"})
    message = refused(own("secretsmanager").get_secret_value, SecretId=arn)[2]
    assert message.endswith("with an explicit deny in an identity-based policy")
    other = make_secret(client, f"{role['name']}/other")
    assert own("secretsmanager").get_secret_value(SecretId=other)["SecretString"]


def test_an_attached_policy_counts_with_its_default_version(client: Client, role: dict[str, str], own: Client) -> None:
    iam = client("iam")
    policy = iam.create_policy(PolicyName=role["name"], PolicyDocument=document(statement("sqs:*", "*")))
    arn = policy["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role["name"], PolicyArn=arn)
    assert refused(own("ec2").describe_tags)[1] == "UnauthorizedOperation"
    iam.create_policy_version(
        PolicyArn=arn, PolicyDocument=document(statement("ec2:Describe*", "*")), SetAsDefault=True
    )
    assert own("ec2").describe_tags()["Tags"] is not None
    iam.detach_role_policy(RoleName=role["name"], PolicyArn=arn)
    iam.attach_role_policy(RoleName=role["name"], PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess")
    assert own("ec2").describe_tags()["Tags"] is not None


def test_a_permissions_boundary_limits_what_the_policies_allow(
    client: Client, allow: Callable[..., None], own: Client, role: dict[str, str]
) -> None:
    allow(statement("*", "*"))
    own("secretsmanager").list_secrets()
    boundary = client("iam").create_policy(
        PolicyName=role["name"], PolicyDocument=document(statement("ec2:DescribeTags", "*"))
    )["Policy"]["Arn"]
    client("iam").put_role_permissions_boundary(RoleName=role["name"], PermissionsBoundary=boundary)
    assert own("ec2").describe_tags()["Tags"] is not None
    message = refused(own("secretsmanager").list_secrets)[2]
    assert message.endswith("because no permissions boundary allows the secretsmanager:ListSecrets action")


def test_a_session_policy_limits_the_session(
    client: Client,
    allow: Callable[..., None],
    role: dict[str, str],
    as_session: Callable[[dict[str, str]], Client],
) -> None:
    allow(statement("*", "*"))
    clients = as_session(credentials(client, role, Policy=document(statement("ec2:*", "*"))))
    assert clients("ec2").describe_tags()["Tags"] is not None
    assert "no session policy allows" in refused(clients("secretsmanager").list_secrets)[2]


def test_an_expired_session_may_nothing(
    endpoint: Endpoint, allow: Callable[..., None], role: dict[str, str], as_session: Any
) -> None:
    allow(statement("*", "*"))
    administrator = boto3.session.Session().client(
        "sts",
        region_name=REGION,
        endpoint_url=endpoint.url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(parameter_validation=False, proxies={}),  # boto3 asks for 900 s at least
    )
    clients = as_session(credentials(lambda _: administrator, role, DurationSeconds=1))

    def code(call: Callable[..., Any]) -> str | None:
        try:
            call()
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return None

    assert wait_until(lambda: code(clients("ssm").describe_parameters)) == "ExpiredTokenException"
    assert refused(clients("sts").get_caller_identity)[:2] == (403, "ExpiredToken")
    assert refused(clients("s3").list_buckets)[:2] == (400, "ExpiredToken")
    assert refused(clients("ec2").describe_tags)[:2] == (400, "RequestExpired")


def test_whoever_it_is_may_ask_who_it_is(allow: Callable[..., None], own: Client, role: dict[str, str]) -> None:
    assert own("sts").get_caller_identity()["Arn"].endswith(f":assumed-role/{role['name']}/i-0123")
    allow({**statement("*", "*"), "Effect": "Deny"})
    assert own("sts").get_caller_identity()["Account"] == "123456789012"
    assert refused(own("sts").assume_role, RoleArn=role["arn"], RoleSessionName="other")[1] == "AccessDenied"


def test_a_role_that_is_gone_may_nothing(client: Client, own: Client, role: dict[str, str]) -> None:
    client("iam").delete_role(RoleName=role["name"])
    assert refused(own("ec2").describe_tags)[1] == "UnauthorizedOperation"


def test_the_administrator_may_everything(client: Client, environment: dict[str, str]) -> None:
    assert client("secretsmanager").get_secret_value(SecretId=environment["other_secret"])["SecretString"]
    assert refused(client("s3").get_object, Bucket=f"{environment['name']}-other", Key="x")[1] == "NoSuchKey"


ASKED = Need("s3:GetObject", "arn:aws:s3:::bucket/a/b", {"s3:ExistingKey": "value"})


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
def test_a_statement_concerns_what_all_its_elements_match(elements: dict[str, Any], is_granted: bool) -> None:
    if "NotAction" not in elements:
        elements = {"Action": "s3:*", **elements}
    if "NotResource" not in elements:
        elements = {"Resource": "*", **elements}
    policies = Policies(identity=(json.dumps({"Statement": {"Effect": "Allow", **elements}}),))
    assert (why_refused(policies, ASKED) is None) is is_granted


@pytest.mark.parametrize(
    ("pattern", "is_granted"),
    [
        ("arn:aws:elasticfilesystem:*:123456789012:access-point/fsap-*", True),
        ("arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1", True),
        ("arn:aws:elasticfilesystem:*:access-point/fsap-1", False),  # no wildcard reaches over a colon
        ("arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-2", False),
    ],
)
def test_arns_are_compared_part_by_part(pattern: str, is_granted: bool) -> None:
    point = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1"
    need = Need("elasticfilesystem:ClientMount", "*", {"elasticfilesystem:AccessPointArn": point})
    condition = {"ArnEquals": {"elasticfilesystem:AccessPointArn": pattern}}
    policies = Policies(identity=(document(statement("elasticfilesystem:ClientMount", "*", Condition=condition)),))
    assert (why_refused(policies, need) is None) is is_granted


@pytest.mark.parametrize(
    "lacking",
    [
        {"Resource": "arn:aws:s3:::bucket/${aws:username}/*"},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    ],
)
def test_what_the_evaluation_lacks_is_said_and_not_guessed(lacking: dict[str, Any]) -> None:
    policy = document({"Effect": "Allow", "Action": "s3:*", "Resource": "*", **lacking})
    with pytest.raises(NotImplementedError):
        why_refused(Policies(identity=(policy,)), ASKED)
