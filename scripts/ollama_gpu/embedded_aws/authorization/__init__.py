"""Who may do what: requests signed with an assumed role's credentials are judged by that role's policies.

Everybody else is the administrator and passes, as moto lets everybody pass. Judged are the role's inline and attached
policies, its permissions boundary and the policy given to AssumeRole, each with its explicit denials. What is not:

* Signatures: the access key id is believed, as moto believes it.
* Policies of resources (buckets, secrets, keys): what they allow beyond the role's policies stays refused. Explicit
  denials of a bucket's policy are moto's S3 to enforce.
* What AWS asks KMS on a caller's behalf (``kms:ViaService``): moto makes no such calls. A role's own call of KMS has no
  such key in its context, so a statement that asks for it does not match, as on AWS.
* Trust policies: whoever may call AssumeRole gets the role. The lab calls it in EC2's place, as the administrator.
* Forms posted to S3 by a browser: their credentials lie in the form.
* Resources and condition keys that ``needs`` and ``s3`` do not know: such an action is judged on the resource "*",
  which only a statement about "*" matches, and an unknown key is absent from the context.
"""

from .layer import Authorization

__all__ = ["Authorization"]
