"""What a load balancer's security policy demands of a connection, in HAProxy's words."""

from __future__ import annotations

import re

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html: a name tells the
# oldest version, and whether ciphers are restricted ("Res") to those with forward secrecy and authenticated encryption.
_WITH_TLS13 = re.compile(r"-TLS13-1-(\d)")
_WITHOUT_TLS13 = re.compile(r"-(?:TLS|FS)-1-(\d)")
_RESTRICTED = ":".join(
    f"ECDHE-{kind}-AES{bits}-GCM-SHA{digest}" for bits, digest in ((128, 256), (256, 384)) for kind in ("ECDSA", "RSA")
)


def bind_options(policy: str) -> str:
    """The options of a ``bind`` line. The hybrid key exchange of the PQ policies is left to what OpenSSL has."""
    if match := _WITH_TLS13.search(policy):
        options = [f"ssl-min-ver TLSv1.{match[1]}"]
    else:
        older = _WITHOUT_TLS13.search(policy)
        options = [f"ssl-min-ver TLSv1.{older[1] if older else 0}", "ssl-max-ver TLSv1.2"]
    if "-Res" in policy:
        options.append(f"ciphers {_RESTRICTED}")
    return " ".join(options)
