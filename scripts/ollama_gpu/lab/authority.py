"""The certificate authority of an environment's lab: what ACM and the managed stores' authorities are on AWS."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NAME = "ollama-gpu lab"
_AUTHORITY_DAYS = 3650
_ISSUED_DAYS = 825  # the longest that Apple's clients take from an authority that the user added
_RENEW_DAYS = 30
_CLOCKS = timedelta(days=1)  # containers' and browsers' clocks may be behind


@dataclass(frozen=True)
class Issued:
    """A server's key and its certificate followed by the authority's, as PEM texts."""

    key: str
    chain: str


@dataclass(frozen=True)
class Authority:
    """An authority whose key, readable by its owner only, and certificate lie in ``folder``."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """What clients verify by."""
        return self.folder / "ca.crt"

    def issue(self, names: Iterable[str], addresses: Iterable[str] = ()) -> Issued:
        """A new key and certificate of a server for DNS names (wildcards too) and IP addresses; valid for 825 days."""
        key = ec.generate_private_key(ec.SECP256R1())
        authority = self._certificate()
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        subjects = [
            *(x509.DNSName(name) for name in names),
            *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
        ]
        certificate = (
            # The name says nothing: clients look at the alternatives, and a common name ends at 64 characters.
            _begin("server", authority.subject, key.public_key(), _ISSUED_DAYS)
            .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            # Python's clients demand it from 3.13 on
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key(), hashes.SHA256())
        )
        return Issued(_key_text(key), _text(certificate) + _text(authority))

    def keep(self, folder: Path, names: Iterable[str], addresses: Iterable[str] = ()) -> Issued:
        """The certificate in ``folder`` (server.key, server.crt), issued anew when it has other names or ends soon."""
        key, chain = folder / "server.key", folder / "server.crt"
        names, addresses = tuple(names), tuple(addresses)
        if key.exists() and chain.exists():
            kept = Issued(key.read_text(encoding="ascii"), chain.read_text(encoding="ascii"))
            if self._serves(kept, names, addresses):
                return kept
        issued = self.issue(names, addresses)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(key, issued.key)
        _write(chain, issued.chain)
        return issued

    def _serves(self, issued: Issued, names: tuple[str, ...], addresses: tuple[str, ...]) -> bool:
        certificate = x509.load_pem_x509_certificate(issued.chain.encode())
        subjects = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        kept = (
            {*subjects.get_values_for_type(x509.DNSName)},
            {str(address) for address in subjects.get_values_for_type(x509.IPAddress)},
        )
        return (
            issued.chain.endswith(self.certificate.read_text(encoding="ascii"))
            and kept == ({*names}, {*addresses})
            and certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=_RENEW_DAYS)
        )

    def _certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.read_bytes())

    def _key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - `keep` made it
        return key


def keep(folder: Path) -> Authority:
    """The authority in this folder, made when there is none."""
    authority = Authority(folder)
    if not authority.certificate.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(f"{_NAME} authority {os.urandom(4).hex()}")  # two of the same name confuse browsers' stores
        usage = dict.fromkeys(
            (
                *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
                *("encipher_only", "decipher_only"),
            ),
            False,
        )
        certificate = (
            _begin(subject, subject, key.public_key(), _AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(folder / "ca.key", _key_text(key))
        _write(authority.certificate, _text(certificate))  # last: its presence says that the authority is whole
    return authority


def _begin(
    subject: str | x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(subject) if isinstance(subject, str) else subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS)
        .not_valid_after(now + timedelta(days=days))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _write(file: Path, text: str) -> None:
    """Whole or not at all, and from its first byte on readable by its owner only."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
        stream.write(text)
    partial.replace(file)
