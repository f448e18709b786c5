"""The sessions of assumed roles that moto's STS has made, and the policies that bind them."""

from __future__ import annotations

from typing import Any

from moto.core.utils import utcnow
from moto.iam.exceptions import NotFoundException
from moto.iam.models import get_account_id_from, iam_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from .policies import Policies
from .signer import Signer


def is_temporary(signer: Signer) -> bool:
    """Whether the access key id is one of STS: in AWS as in moto they begin so."""
    return signer.access_key.startswith("ASIA")


def session_of(signer: Signer) -> Any:
    """moto's AssumedRole whose credentials signed, None if they are of no role."""
    sts = sts_backends[get_account_id_from(signer.access_key)][get_partition(signer.region)]
    return sts.get_assumed_role_from_access_key(signer.access_key)


def is_expired(session: Any) -> bool:
    return bool(session.expiration <= utcnow())


def policies_of(session: Any) -> Policies:
    """The policies that hold now: a change counts from the next request on. A role that is gone may nothing."""
    iam = iam_backends[session.account_id][session.partition]
    try:
        role = iam.get_role_by_arn(session.role_arn)
    except NotFoundException:
        return Policies()
    attached = tuple(_document(policy) for policy in role.managed_policies.values())
    boundary = role.permissions_boundary_arn
    return Policies(
        identity=(*role.policies.values(), *attached),
        boundary=_document(iam.get_policy(boundary)) if boundary else None,
        session=session.policy or None,
    )


def _document(policy: Any) -> str:
    return next(str(version.document) for version in policy.versions if version.is_default)
