"""HAProxy's TLS options for a load balancer's security policy."""

from __future__ import annotations

import re

from ollama_gpu.core.errors import UserError

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html: the name gives the
# oldest version. "Res" restricts the ciphers to those with forward secrecy and authenticated encryption.
_POLICY = re.compile(r"ELBSecurityPolicy-TLS13-1-([23])-")
_RESTRICTED = ":".join(
    f"ECDHE-{kind}-AES{bits}-GCM-SHA{digest}" for bits, digest in ((128, 256), (256, 384)) for kind in ("ECDSA", "RSA")
)


def bind_options(policy: str) -> str:
    """Return the options of a ``bind`` line. OpenSSL's defaults decide on the hybrid key exchange of PQ policies.

    Raises UserError for a policy without TLS 1.3, which the fabric does not use.
    """
    found = _POLICY.match(policy)
    if found is None:
        raise UserError(
            f"The lab's front door does not support the security policy {policy}.",
            "Choose a policy with TLS 1.3, such as ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09.",
        )
    options = [f"ssl-min-ver TLSv1.{found[1]}"]
    if "-Res" in policy:
        options.append(f"ciphers {_RESTRICTED}")
    return " ".join(options)
