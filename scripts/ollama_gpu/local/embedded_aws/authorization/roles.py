"""Sessions of assumed roles in moto's STS, and their policies."""

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
    """Whether STS issued the access key id. The prefix is the same on AWS and in moto."""
    return signer.access_key.startswith("ASIA")


def session_of(signer: Signer) -> Any:
    """Return moto's AssumedRole for the signer's credentials, or None if no role has them."""
    sts = sts_backends[get_account_id_from(signer.access_key)][get_partition(signer.region)]
    return sts.get_assumed_role_from_access_key(signer.access_key)


def is_expired(session: Any) -> bool:
    return bool(session.expiration <= utcnow())


def policies_of(session: Any) -> Policies:
    """Return the current policies, so that a change applies to the next request. A deleted role has none."""
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
