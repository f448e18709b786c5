"""Authorization: requests signed with the credentials of an assumed role are checked against the role's policies.

All other requests are the administrator's and are allowed, as in moto. The check covers the role's inline and attached
policies, its permissions boundary and the session policy given to AssumeRole, each with explicit denials. It does not
cover:

* Signatures. The access key id is trusted, as in moto.
* Resource policies (of buckets, secrets, keys). What they allow beyond the role's policies is denied. moto's S3
  enforces the explicit denials of a bucket policy.
* Calls that AWS makes to KMS for the caller (``kms:ViaService``). moto makes no such calls. A role's own KMS call does
  not have this key in its context, so a statement with that condition does not match, as on AWS.
* Trust policies. Every caller of AssumeRole gets the role. The lab calls it in place of EC2, as the administrator.
* Forms that a browser posts to S3, because their credentials are in the form.
* Resources and condition keys that ``required_permissions`` and ``s3`` do not know. Such an action is checked on the
  resource "*", which only a statement on "*" matches, and an unknown key is absent from the context.
"""

from .layer import Authorization

__all__ = ["Authorization"]
