"""Preflight on a real embedded AWS: it refuses each problem, and passes once the problem is fixed."""

from __future__ import annotations

import datetime
import http.server
import json
import math
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ollama_gpu.core import contract
from ollama_gpu.core.aws import Aws, parameter
from ollama_gpu.core.checks import Check
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths, locate
from ollama_gpu.environment import images, settings
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.embedded_aws import EmbeddedAws
from ollama_gpu.environment.settings import Environment
from ollama_gpu.fabric import preflight, quotas
from ollama_gpu.fabric.fabric import Fabric
from ollama_gpu.terraform.progress import NoProgress
from tests import contexts
from tests.contexts import context_of
from tests.fabric.driver import wait_for

REGION = "us-east-1"
AGREED = contract.load(locate().contract)
IMAGE = AGREED.parameter("image", "prod")
STATE_BUCKET = AGREED.state_bucket("123456789012", REGION)
DOMAIN = {"name": "chat.example.org", "zone": "example.org"}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """An empty account."""
    server = EmbeddedAws(tmp_path_factory.mktemp("embedded-aws"), REGION)
    yield Aws(REGION, server.start().url)
    server.stop()


def environment(*types: str, max_size: int = 2, **variables: Any) -> Environment:
    """prod with other variables; its interactive fleet has the given types."""
    fleet = {"instance_types": list(types or ("g5.xlarge",)), "min_size": 2, "max_size": max_size}
    chosen = contexts.variables(
        **{"environment": "prod", "region": REGION, "fleets": {"interactive": fleet}} | variables
    )
    return replace(settings.load(locate(), "prod"), variables=chosen)


def refused(check: Check, *words: str) -> bool:
    """Check that the row failed with these words, in its finding or in its remedy."""
    assert check.state == "failed", check
    assert check.remedy, check
    missing = [word for word in words if word not in f"{check.seen} {check.remedy}"]
    assert not missing, f"{missing} not in {check}"
    return True


@pytest.fixture
def state_bucket(aws: Aws) -> Iterator[str]:
    aws.s3.create_bucket(Bucket=STATE_BUCKET)
    yield STATE_BUCKET
    for item in aws.s3.list_objects_v2(Bucket=STATE_BUCKET).get("Contents", []):
        aws.s3.delete_object(Bucket=STATE_BUCKET, Key=item["Key"])
    aws.s3.delete_bucket(Bucket=STATE_BUCKET)


def test_a_missing_state_bucket_is_refused_with_bootstrap_as_remedy(aws: Aws) -> None:
    (row,) = preflight.state(context_of(environment(), AGREED, aws))
    assert refused(row, STATE_BUCKET, "make bootstrap ENV=prod")


def test_terraform_reports_a_missing_state_bucket_without_preflight_too(aws: Aws, tmp_path: Path) -> None:
    exports = {"AWS_ENDPOINT_URL": str(aws.endpoint), "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    where = Paths(locate().repository, tmp_path)
    fabric = Fabric(Context(where, environment(), AGREED, aws, exports, unset=()), NoProgress())
    with pytest.raises(UserError, match=f"The state bucket {STATE_BUCKET} does not exist") as caught:
        fabric.init()
    assert "make bootstrap ENV=prod" in caught.value.remedy


def test_a_state_bucket_with_a_free_lock_passes(aws: Aws, state_bucket: str) -> None:
    rows = preflight.state(context_of(environment(), AGREED, aws))
    assert [(row.what, row.state, row.seen) for row in rows] == [
        ("state bucket", "ok", state_bucket),
        ("state lock", "ok", "not locked"),
        ("state", "ok", "none yet"),
    ]


def test_a_bucket_in_the_backend_file_overrides_the_contracts(aws: Aws, state_bucket: str) -> None:
    chosen = environment()
    chosen = replace(chosen, backend={**chosen.backend, "bucket": "states-of-another-team"})
    assert refused(preflight.state(context_of(chosen, AGREED, aws))[0], "states-of-another-team")


def lock(aws: Aws, bucket: str, body: bytes, key: str) -> Check:
    aws.s3.put_object(Bucket=bucket, Key=f"{key}.tflock", Body=body)
    return preflight.state(context_of(environment(), AGREED, aws))[1]


def test_a_held_lock_names_its_holder_and_the_unlock_command(aws: Aws, state_bucket: str) -> None:
    # In the format of Terraform 1.11.
    holder = {
        "ID": "6a3e54a1-6f6f-4f9e-9a3b-9f0c7c1f2d11",
        "Operation": "OperationTypeApply",
        "Info": "",
        "Who": "maria@ops",
        "Version": "1.11.4",
        "Created": "2026-11-23T00:00:00.000000000Z",
        "Path": f"{state_bucket}/prod/terraform.tfstate",
    }
    row = lock(aws, state_bucket, json.dumps(holder).encode(), environment().state_key)
    assert refused(row, holder["Who"], holder["Operation"], holder["Created"])
    assert f"make unlock ENV=prod LOCK={holder['ID']}" in row.remedy


@pytest.mark.parametrize("body", [b"", b"not a lock", b"\xff\xfe", b"[]", b'"x"', b"null", b"{}"])
def test_an_unreadable_lock_is_held_and_can_be_deleted(aws: Aws, state_bucket: str, body: bytes) -> None:
    row = lock(aws, state_bucket, body, environment().state_key)
    assert refused(row, f"aws s3 rm s3://{state_bucket}/prod/terraform.tfstate.tflock")
    assert "make unlock" not in row.remedy, "force-unlock cannot read it"


def test_another_environments_lock_does_not_matter(aws: Aws, state_bucket: str) -> None:
    assert lock(aws, state_bucket, b"{}", "dev/terraform.tfstate").state == "ok"


def test_each_type_names_the_chosen_zones_that_offer_it(aws: Aws) -> None:
    zones = [f"{REGION}a", f"{REGION}b"]
    rows = preflight.zones(context_of(environment("g5.xlarge", "g4dn.xlarge", network={"zones": zones}), AGREED, aws))
    assert [(row.what, row.state) for row in rows] == [("offered: g4dn.xlarge", "ok"), ("offered: g5.xlarge", "ok")]
    assert all(set(row.seen.split(", ")) <= set(zones) and row.seen for row in rows)


def test_a_type_that_the_region_does_not_offer_is_refused(aws: Aws) -> None:
    bad, good = preflight.zones(context_of(environment("g5.xlarge", "g5.huge"), AGREED, aws))
    assert good.state == "ok"
    assert refused(bad, f"not offered in {REGION}", "fleets", "region")


def test_a_type_that_no_chosen_zone_offers_is_refused(aws: Aws) -> None:
    zones = {zone["ZoneName"] for zone in aws.ec2.describe_availability_zones()["AvailabilityZones"]}
    offerings = aws.ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["g6e.xlarge"]}]
    )["InstanceTypeOfferings"]
    having = {offering["Location"] for offering in offerings}
    lacking = sorted(zones - having)
    assert having
    assert lacking, "the catalogue must offer the type in some zones only"
    (bad,) = preflight.zones(context_of(environment("g6e.xlarge", network={"zones": lacking}), AGREED, aws))
    assert refused(bad, f"in {REGION}", lacking[0], "network.zones")
    (good,) = preflight.zones(
        context_of(environment("g6e.xlarge", network={"zones": [*lacking, min(having)]}), AGREED, aws)
    )
    assert (good.state, good.seen) == ("ok", min(having))


def existing_network(subnet: str, vpc: str = "vpc-00000000000000000") -> dict[str, Any]:
    """The variable `network` for an existing VPC with one subnet, which serves every purpose."""
    ids = {f"{kind}_subnet_ids": [subnet] for kind in ("data", "private", "public")}
    return {"existing": {**ids, "vpc_id": vpc}}


def test_the_zones_of_an_existing_network_are_used(aws: Aws) -> None:
    vpc = aws.ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = aws.ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/24", AvailabilityZone=f"{REGION}c")["Subnet"]
    network = existing_network(subnet["SubnetId"], vpc)
    (row,) = preflight.zones(context_of(environment("g5.xlarge", network=network), AGREED, aws))
    assert row.seen in (f"{REGION}c", f"offered in {REGION}, but not in {REGION}c")


def batch(*types: str, max_size: int) -> dict[str, Any]:
    interactive = {"instance_types": ["g5.xlarge"], "min_size": 2, "max_size": 2}
    return {"interactive": interactive, "batch": {"instance_types": list(types), "min_size": 0, "max_size": max_size}}


def test_a_batch_fleet_is_checked_only_with_spot_enabled(aws: Aws) -> None:
    with_spot = environment(fleets=batch("p3.huge", max_size=1), spot_enabled=True)
    without = environment(fleets=batch("p3.huge", max_size=1), spot_enabled=False)
    assert [row.state for row in preflight.zones(context_of(with_spot, AGREED, aws))] == ["ok", "failed"]
    assert [row.state for row in preflight.zones(context_of(without, AGREED, aws))] == ["ok"]


def limit(aws: Aws, code: str) -> int:
    return int(aws.service_quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])


QUOTA_OF = [
    # The catalogue no longer has the smaller p3 types; their quota is the same.
    ("L-DB2E81BA", "g5.xlarge", 4, False),
    ("L-417A185B", "p3dn.24xlarge", 96, False),
    ("L-3819A6DF", "g4dn.xlarge", 4, True),
    ("L-7212CCBC", "p3dn.24xlarge", 96, True),
]


def quota_row(aws: Aws, code: str, kind: str, max_size: int, spot: bool = False) -> Check:
    chosen = environment(kind, max_size=max_size)
    if spot:
        chosen = environment(fleets=batch(kind, max_size=max_size), spot_enabled=True)
    return next(row for row in quotas.vcpus(context_of(chosen, AGREED, aws)) if row.what == f"quota {code}")


@pytest.mark.parametrize(("code", "kind", "vcpus", "spot"), QUOTA_OF)
def test_a_quota_is_refused_for_more_instances_than_fit(aws: Aws, code: str, kind: str, vcpus: int, spot: bool) -> None:
    fitting = limit(aws, code) // vcpus
    assert quota_row(aws, code, kind, fitting, spot).state == "warning"
    more = fitting + 1
    assert refused(
        quota_row(aws, code, kind, more, spot),
        f"{limit(aws, code)} vCPUs, {more * vcpus} needed",
        "max_size",
        "aws service-quotas request-service-quota-increase --service-code ec2 "
        f"--quota-code {code} --desired-value {math.ceil(1.1 * more) * vcpus} --region {REGION}",
    )


def test_a_quota_without_room_for_a_rollout_is_a_warning(aws: Aws) -> None:
    """At max_size a rollout launches 10 % more, and at least one instance, before it terminates any."""
    assert limit(aws, "L-DB2E81BA") == 768
    assert quota_row(aws, "L-DB2E81BA", "g5.xlarge", 174).state == "ok"  # 192 instances in a rollout
    row = quota_row(aws, "L-DB2E81BA", "g5.xlarge", 175)
    assert (row.state, "a rollout or a replacement at max_size needs 772" in row.seen) == ("warning", True)
    assert "--desired-value 772" in row.remedy


def test_instances_outside_the_environment_count_towards_a_quota(aws: Aws) -> None:
    zone = aws.ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["g5.12xlarge"]}]
    )["InstanceTypeOfferings"][0]["Location"]
    stock = parameter(aws, images.STOCK_PARAMETER) or ""
    started = aws.ec2.run_instances(
        ImageId=stock, InstanceType="g5.12xlarge", MinCount=2, MaxCount=2, Placement={"AvailabilityZone": zone}
    )["Instances"]
    identifiers = [each["InstanceId"] for each in started]
    try:
        row = quota_row(aws, "L-DB2E81BA", "g5.xlarge", 170)  # 187 instances in a rollout, 748 vCPUs
        assert (row.state, "96 used outside this environment" in row.seen) == ("failed", True)
        own = AGREED.identifying_tags("prod")
        aws.ec2.create_tags(Resources=identifiers, Tags=[{"Key": key, "Value": text} for key, text in own.items()])
        assert quota_row(aws, "L-DB2E81BA", "g5.xlarge", 170).state == "ok"
    finally:
        aws.ec2.terminate_instances(InstanceIds=identifiers)


def test_an_unused_quota_is_not_checked(aws: Aws) -> None:
    rows = quotas.vcpus(context_of(environment("g5.xlarge"), AGREED, aws))
    assert [row.what for row in rows] == ["quota L-DB2E81BA"]


def test_addresses_of_others_count_towards_the_quota_of_the_nat_gateways(aws: Aws) -> None:
    prod = context_of(environment("g5.xlarge"), AGREED, aws)
    row = quotas.addresses(prod, zones=3)
    assert (row.state, row.seen) == ("ok", "Elastic IP addresses: 5 addresses, 3 needed")
    allocated = [aws.ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(3)]
    try:
        row = quotas.addresses(prod, zones=3)
        assert refused(row, "5 addresses, 3 needed, 3 used", "nat_per_zone = false", "L-0263D0A3 --desired-value 6")
        shared = context_of(environment("g5.xlarge", network={"nat_per_zone": False}), AGREED, aws)
        assert quotas.addresses(shared, zones=3).state == "ok"
    finally:
        for address in allocated:
            aws.ec2.release_address(AllocationId=address)


def imported(aws: Aws) -> str:
    """Import a self-signed certificate that is valid for a month."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN["name"])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    return aws.acm.import_certificate(Certificate=pem, PrivateKey=private)["CertificateArn"]


def certificate(aws: Aws, **edge: Any) -> Check:
    return preflight.certificate(context_of(environment(edge=edge), AGREED, aws))


def test_without_certificate_and_domain_both_remedies_are_named(aws: Aws) -> None:
    assert refused(certificate(aws), "edge.domain", "edge.certificate_arn")


def test_an_issued_certificate_passes(aws: Aws) -> None:
    row = certificate(aws, certificate_arn=imported(aws))
    assert row.state == "ok"
    assert DOMAIN["name"] in row.seen


def test_a_certificate_passes_once_it_is_validated(aws: Aws) -> None:
    arns = []

    def seen_pending() -> bool:
        # The embedded AWS validates within a second, so on a busy machine the first check can be too late.
        arns.append(aws.acm.request_certificate(DomainName=f"c{len(arns)}.example.org")["CertificateArn"])
        row = certificate(aws, certificate_arn=arns[-1])
        return row.state == "failed" and refused(row, "PENDING_VALIDATION", "Validate")

    wait_for(seen_pending, "a certificate seen while it is pending", 30)
    wait_for(lambda: certificate(aws, certificate_arn=arns[-1]).state == "ok", "the same one issued", 30)


def test_a_missing_certificate_is_refused(aws: Aws) -> None:
    arn = f"arn:aws:acm:{REGION}:123456789012:certificate/00000000-0000-0000-0000-000000000000"
    assert refused(certificate(aws, certificate_arn=arn), arn, "Correct edge.certificate_arn")


def test_a_certificate_of_another_region_is_refused(aws: Aws) -> None:
    arn = imported(replace(aws, region="eu-central-1"))
    assert refused(certificate(aws, certificate_arn=arn), "is in eu-central-1", f"a certificate in {REGION}")


def test_an_invalid_arn_is_refused(aws: Aws) -> None:
    assert refused(certificate(aws, certificate_arn="mine"), "mine", "edge.certificate_arn")


def test_a_domain_needs_its_public_zone_in_this_account(aws: Aws) -> None:
    assert refused(certificate(aws, domain=DOMAIN), "no public Route 53 zone example.org", "edge.domain.zone")
    vpc = aws.ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    aws.route53.create_hosted_zone(
        Name=DOMAIN["zone"],
        CallerReference="private",
        HostedZoneConfig={"PrivateZone": True},
        VPC={"VPCRegion": REGION, "VPCId": vpc},
    )
    assert refused(certificate(aws, domain=DOMAIN), "no public Route 53 zone"), "ACM cannot validate in a private zone"
    aws.route53.create_hosted_zone(Name=DOMAIN["zone"], CallerReference="public")
    row = certificate(aws, domain=DOMAIN)
    assert row.state == "ok"
    assert DOMAIN["name"] in row.seen


@pytest.fixture
def publish(aws: Aws) -> Iterator[Any]:
    """A function that writes an image's id to prod's parameter, as the bake does."""

    def write(image: str) -> None:
        aws.ssm.put_parameter(Name=IMAGE, Value=image, Type="String", Overwrite=True)

    yield write
    images.unpublish(context_of(environment(), AGREED, aws))


def stock(aws: Aws) -> str:
    return aws.ssm.get_parameter(Name=images.STOCK_PARAMETER)["Parameter"]["Value"]


def test_a_missing_image_is_refused(aws: Aws) -> None:
    assert refused(preflight.image(context_of(environment(), AGREED, aws)), IMAGE, "make bootstrap ENV=prod", "bake")


@pytest.mark.parametrize("identifier", ["ami-0123456789abcdef0", "latest"])
def test_a_published_image_that_does_not_exist_is_refused(aws: Aws, publish: Any, identifier: str) -> None:
    publish(identifier)
    assert refused(preflight.image(context_of(environment(), AGREED, aws)), identifier, IMAGE)


def test_an_available_image_passes(aws: Aws, publish: Any) -> None:
    publish(stock(aws))
    row = preflight.image(context_of(environment(), AGREED, aws))
    assert row.state == "ok"
    assert stock(aws) in row.seen
    assert IMAGE in row.seen


def test_an_image_variable_overrides_the_published_image(aws: Aws, publish: Any) -> None:
    publish("ami-0123456789abcdef0")
    row = preflight.image(context_of(environment(image_id=stock(aws)), AGREED, aws))
    assert row.state == "ok"
    assert "image_id" in row.seen
    gone = preflight.image(context_of(environment(image_id="ami-0fedcba9876543210"), AGREED, aws))
    assert refused(gone, "ami-0fedcba9876543210", "image_id")


def test_an_image_for_another_processor_is_refused(aws: Aws) -> None:
    arm = aws.ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]["ImageId"]
    assert refused(preflight.image(context_of(environment(image_id=arm), AGREED, aws)), "arm64", "x86_64")


def test_a_missing_model_set_is_refused(aws: Aws) -> None:
    row = preflight.model_set(context_of(environment(), AGREED, aws))
    assert refused(row, AGREED.parameter("models", "prod"), "make models ENV=prod PUBLISH=")


@pytest.fixture
def publish_models(aws: Aws) -> Iterator[Any]:
    """A function that publishes a model set for prod."""
    name = AGREED.parameter("models", "prod")

    def publish(*models: str) -> None:
        value = json.dumps({"models": [{"name": model, "digest": "sha256:" + "0" * 64} for model in models]})
        aws.ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)

    yield publish
    aws.ssm.delete_parameter(Name=name)


def test_the_published_models_are_named(aws: Aws, publish_models: Any) -> None:
    publish_models("gemma3:4b", "nomic-embed-text:latest")
    row = preflight.model_set(context_of(environment(), AGREED, aws))
    assert (row.state, row.seen) == ("ok", "gemma3:4b, nomic-embed-text:latest")


def test_a_model_set_without_the_embedding_model_is_refused(aws: Aws, publish_models: Any) -> None:
    publish_models("gemma3:4b")
    row = preflight.model_set(context_of(environment(), AGREED, aws))
    assert refused(row, "uploaded document", 'make models ENV=prod PUBLISH="gemma3:4b nomic-embed-text"')


def test_one_run_shows_all_obstacles(aws: Aws) -> None:
    rows = preflight.run(context_of(environment("g5.xlarge", "g5.huge", max_size=10_000), AGREED, aws))
    assert [(row.what, row.state) for row in rows] == [
        ("identity", "ok"),
        ("state bucket", "failed"),
        ("offered: g5.huge", "failed"),
        ("offered: g5.xlarge", "ok"),
        ("quota L-DB2E81BA", "failed"),
        ("quota L-0263D0A3", "ok"),
        ("database", "warning"),
        ("certificate", "failed"),
        ("image", "failed"),
        ("models", "failed"),
    ]
    assert "without g5.huge" in next(row.seen for row in rows if row.what == "database")
    assert preflight.summary(rows) == "10 checks, 6 failed"


def test_an_aws_error_is_one_row_and_the_other_checks_continue(aws: Aws) -> None:
    network = existing_network("subnet-00000000000000000")
    rows = preflight.run(context_of(environment(network=network), AGREED, aws))
    assert ["subnet-00000000000000000" in row.seen for row in rows if row.what == "AWS"] == [True]
    assert {"quota L-DB2E81BA", "certificate", "image"} <= {row.what for row in rows}
    assert "quota L-0263D0A3" not in {row.what for row in rows}, "an existing network has its own way out"


def test_an_unreachable_aws_is_one_row(aws: Aws) -> None:
    with socket.socket() as reserved:  # bound but not listening: every connection is refused
        reserved.bind(("127.0.0.1", 0))
        unreachable = Aws(REGION, f"http://127.0.0.1:{reserved.getsockname()[1]}")
        (row,) = preflight.run(context_of(environment(), AGREED, unreachable))
    assert row.what == "identity"
    assert refused(row, "does not answer", "network")


@pytest.fixture
def expired() -> Iterator[Aws]:
    """An AWS that responds as STS does to expired credentials."""
    body = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
      <Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error>
      <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ErrorResponse>"""

    class Refuse(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(403)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Aws(REGION, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def test_expired_credentials_are_reported_in_one_row(expired: Aws) -> None:
    (row,) = preflight.run(context_of(environment(), AGREED, expired))
    assert row.what == "identity"
    assert refused(row, "expired", "aws sso login")
