"""The lab's authority: clients that have its certificate trust what it issues, and no other client does."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab import authority
from ollama_gpu.local.lab.authority import Issued


def shake_hands(folder: Path, issued: Issued, trusted: Path, name: str) -> None:
    """Connect a client that trusts an authority to a server; raises ssl.SSLError when it refuses the certificate."""
    (folder / "key").write_text(issued.key)
    (folder / "chain").write_text(issued.chain)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(folder / "chain", folder / "key")
    client = ssl.create_default_context(cafile=str(trusted))
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        served.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in ends * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert ends[0].version() == "TLSv1.3"
    assert ends[0].getpeercert()


@pytest.mark.parametrize("name", ["db.internal", "chat.example.org", "127.0.0.1"])
def test_clients_trust_a_server_by_each_of_its_names(tmp_path: Path, name: str) -> None:
    signer = authority.ensure(tmp_path / "ca")
    issued = signer.issue(["db.internal", "*.example.org"], ["127.0.0.1"])
    shake_hands(tmp_path, issued, signer.certificate, name)


def test_clients_refuse_another_name(tmp_path: Path) -> None:
    signer = authority.ensure(tmp_path / "ca")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(tmp_path, signer.issue(["db.internal"]), signer.certificate, "cache.internal")


def test_clients_refuse_another_authority(tmp_path: Path) -> None:
    signer, other = authority.ensure(tmp_path / "ca"), authority.ensure(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, signer.issue(["db.internal"]), other.certificate, "db.internal")


def test_authority_is_created_once_and_only_its_owner_reads_its_files(tmp_path: Path) -> None:
    first = authority.ensure(tmp_path / "ca").certificate.read_bytes()
    assert authority.ensure(tmp_path / "ca").certificate.read_bytes() == first
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "ca").iterdir()} == {0o600}


def test_certificate_is_reused_until_its_names_or_its_authority_change(tmp_path: Path) -> None:
    signer = authority.ensure(tmp_path / "ca")
    first = signer.ensure_issued(tmp_path / "tls", ["a.Example"], ["127.0.0.1"])
    assert signer.ensure_issued(tmp_path / "tls", ["a.Example"], ["127.0.0.1"]) == first
    renamed = signer.ensure_issued(tmp_path / "tls", ["a.Example", "b"], ["127.0.0.1"])
    assert renamed != first
    other = authority.ensure(tmp_path / "other").ensure_issued(tmp_path / "tls", ["a.Example", "b"], ["127.0.0.1"])
    assert other != renamed
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "tls").iterdir()} == {0o600}


@pytest.mark.parametrize(("days_left", "reused"), [(31, True), (29, False)])
def test_certificate_is_renewed_30_days_before_it_expires(tmp_path: Path, days_left: int, reused: bool) -> None:
    signer = authority.ensure(tmp_path / "ca")
    root, key = signer.certificate.read_bytes(), (tmp_path / "ca" / "ca.key").read_bytes()
    ends = datetime.now(UTC) + timedelta(days=days_left)
    leaf = trustme.CA.from_pem(root, key).issue_cert("a", not_after=ends)
    (tmp_path / "tls").mkdir()
    leaf.private_key_pem.write_to_path(tmp_path / "tls" / "server.key")
    (tmp_path / "tls" / "server.crt").write_bytes(leaf.cert_chain_pems[0].bytes() + root)
    before = (tmp_path / "tls" / "server.crt").read_text()
    assert (signer.ensure_issued(tmp_path / "tls", ["a"]).chain == before) == reused


def test_certificate_is_valid_for_825_days(tmp_path: Path) -> None:
    chain = authority.ensure(tmp_path / "ca").issue(["a"]).chain
    certificate = x509.load_pem_x509_certificate(chain.encode())
    assert (certificate.not_valid_after_utc - datetime.now(UTC)).days == 824
    assert certificate.not_valid_before_utc < datetime.now(UTC) - timedelta(hours=23)


def test_authority_signs_no_further_authority(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(authority.ensure(tmp_path / "ca").certificate.read_bytes())
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)


def test_name_that_is_no_dns_name_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot issue a certificate"):
        authority.ensure(tmp_path / "ca").issue(["my_data"])


def test_names_may_be_longer_than_a_common_name(tmp_path: Path) -> None:
    name = f"{'a' * 50}.{'b' * 20}.us-east-1.rds.amazonaws.com"
    chain = authority.ensure(tmp_path / "ca").issue([name]).chain
    certificate = x509.load_pem_x509_certificate(chain.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [name]
