"""The initial content of the account: a Debian image and a hosted zone.

The fabric finds the image through the same public SSM parameter as on AWS. Ids are random, as on AWS, and the content
is lost when the process ends.
"""

from __future__ import annotations

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.utils import random_ami_id
from moto.route53.models import route53_backends
from moto.ssm.models import Parameter, ssm_backends

DEBIAN_OWNER = "136693071363"  # Debian's account: https://wiki.debian.org/Cloud/AmazonEC2Image
DEBIAN_NAME = "debian-12-amd64-20260101-0001"
DEBIAN_PARAMETER = "/aws/service/debian/release/12/latest/amd64"
HOSTED_ZONE = "ollama-gpu.test"  # .test is reserved (RFC 6761), so no one can own the name


def populate(*regions: str) -> None:
    """Create the hosted zone and, in each region, the Debian image and the parameter with its id."""
    route53_backends[DEFAULT_ACCOUNT_ID]["aws"].create_hosted_zone(
        name=f"{HOSTED_ZONE}.", private_zone=False, comment="the embedded AWS's own domain"
    )
    for region in regions:
        _publish_parameter(region, _register_image(region))


def _register_image(region: str) -> str:
    backend = ec2_backends[DEFAULT_ACCOUNT_ID][region]
    identifier: str = random_ami_id()
    image = Ami(
        backend,
        identifier,
        name=DEBIAN_NAME,
        description="Debian 12 (bookworm)",
        owner_id=DEBIAN_OWNER,
        public=True,
        virtualization_type="hvm",
        architecture="x86_64",
        hypervisor="xen",
        image_location=f"amazon/{DEBIAN_NAME}",
        root_device_type="ebs",
        root_device_name="/dev/xvda",
        region_name=f"{region}a",
    )
    backend.amis[identifier] = image
    return identifier


def _publish_parameter(region: str, image: str) -> None:
    parameter = Parameter(
        account_id=DEFAULT_ACCOUNT_ID,
        name=DEBIAN_PARAMETER,
        value=image,
        parameter_type="String",
        description=None,
        allowed_pattern=None,
        keyid=None,
        last_modified_date=utcnow().timestamp(),
        version=1,
        data_type="aws:ec2:image",
    )
    # PutParameter rejects names under /aws, which only Amazon may write
    ssm_backends[DEFAULT_ACCOUNT_ID][region]._parameters[DEBIAN_PARAMETER].append(parameter)
