"""The certificate authority of an environment's lab, in place of ACM's and the managed stores' authorities on AWS.

trustme creates the keys and certificates. This module adds what trustme leaves to its users: files, reuse and renewal.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509

from ollama_gpu.core.errors import UserError

_NAME = "ollama-gpu lab"
_VALID_DAYS = 825  # the longest validity that Apple's clients accept from an authority that the user added
_RENEW_DAYS = 30
_CLOCK_SKEW = timedelta(days=1)  # clocks of containers and browsers may be behind


@dataclass(frozen=True)
class Issued:
    """A server's key, and its certificate followed by the authority's, as PEM texts."""

    key: str
    chain: str


@dataclass(frozen=True)
class Authority:
    """An authority with its certificate and its key in ``folder``. Only the owner can read the files."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The certificate that clients verify servers with."""
        return self.folder / "ca.crt"

    def issue(self, names: Iterable[str], addresses: Iterable[str] = ()) -> Issued:
        """Return a new server key and certificate for DNS names (wildcards too) and IP addresses, valid for 825 days.

        Raises UserError for a name that cannot be a DNS name.
        """
        certificate = self.certificate.read_bytes()
        now = datetime.now(UTC)
        try:
            issued = trustme.CA.from_pem(certificate, (self.folder / "ca.key").read_bytes()).issue_cert(
                *names,
                *addresses,
                organization_name=_NAME,
                not_before=now - _CLOCK_SKEW,
                not_after=now + timedelta(days=_VALID_DAYS),
            )
        except UnicodeError as error:  # the base class of idna's errors
            raise UserError(
                f"The lab cannot issue a certificate: {error}.", "Use letters, digits and hyphens in names."
            ) from error
        # trustme leaves the root out of the chain; the data tier and HAProxy serve it, as before.
        chain = issued.cert_chain_pems[0].bytes() + certificate
        return Issued(issued.private_key_pem.bytes().decode(), chain.decode())

    def ensure_issued(self, folder: Path, names: Iterable[str], addresses: Iterable[str] = ()) -> Issued:
        """Return the key and certificate in ``folder`` (server.key, server.crt), and issue them where needed.

        Issues new ones when there are none, when this authority, the names or the addresses differ, and 30 days before
        the certificate expires.
        """
        key, chain = folder / "server.key", folder / "server.crt"
        names, addresses = tuple(names), tuple(addresses)
        if key.exists() and chain.exists():
            present = Issued(key.read_text(encoding="ascii"), chain.read_text(encoding="ascii"))
            if self._is_current(present, names, addresses):
                return present
        issued = self.issue(names, addresses)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(key, issued.key)
        _write(chain, issued.chain)
        return issued

    def _is_current(self, issued: Issued, names: tuple[str, ...], addresses: tuple[str, ...]) -> bool:
        certificate = x509.load_pem_x509_certificate(issued.chain.encode())
        subjects = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            issued.chain.endswith(self.certificate.read_text(encoding="ascii"))
            and {*subjects.get_values_for_type(x509.DNSName)} == {name.lower() for name in names}
            and {str(address) for address in subjects.get_values_for_type(x509.IPAddress)} == {*addresses}
            and certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=_RENEW_DAYS)
        )


def ensure(folder: Path) -> Authority:
    """Return the authority in this folder. Create it if there is none."""
    authority = Authority(folder)
    if not authority.certificate.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A random name, because two authorities of the same name confuse browsers' stores.
        created = trustme.CA(
            path_length=0, organization_name=_NAME, organization_unit_name=f"authority {os.urandom(4).hex()}"
        )
        _write(folder / "ca.key", created.private_key_pem.bytes().decode())
        # The certificate comes last: its presence shows that the authority is complete.
        _write(authority.certificate, created.cert_pem.bytes().decode())
    return authority


def _write(file: Path, text: str) -> None:
    """Write a file atomically. Only its owner can ever read it."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
        stream.write(text)
    partial.replace(file)
