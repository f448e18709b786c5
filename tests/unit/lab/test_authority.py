"""The lab's authority: what it issues is trusted by those who have its certificate, and by nobody else."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from ollama_gpu.lab import authority
from ollama_gpu.lab.authority import Issued


def shake_hands(folder: Path, issued: Issued, trusted: Path, name: str) -> None:
    """A client that trusts an authority meets a server; raises ssl.SSLError when it refuses the certificate."""
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
def test_a_server_is_trusted_by_each_of_its_names(tmp_path: Path, name: str) -> None:
    signer = authority.keep(tmp_path / "ca")
    issued = signer.issue(["db.internal", "*.example.org"], ["127.0.0.1"])
    shake_hands(tmp_path, issued, signer.certificate, name)


def test_another_name_is_refused(tmp_path: Path) -> None:
    signer = authority.keep(tmp_path / "ca")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(tmp_path, signer.issue(["db.internal"]), signer.certificate, "cache.internal")


def test_another_authority_is_refused(tmp_path: Path) -> None:
    signer, other = authority.keep(tmp_path / "ca"), authority.keep(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, signer.issue(["db.internal"]), other.certificate, "db.internal")


def test_an_authority_is_made_once_and_its_files_are_its_owners(tmp_path: Path) -> None:
    first = authority.keep(tmp_path / "ca").certificate.read_bytes()
    assert authority.keep(tmp_path / "ca").certificate.read_bytes() == first
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "ca").iterdir()} == {0o600}


def test_a_kept_certificate_stays_until_its_names_or_its_authority_change(tmp_path: Path) -> None:
    signer = authority.keep(tmp_path / "ca")
    kept = signer.keep(tmp_path / "tls", ["a"], ["127.0.0.1"])
    assert signer.keep(tmp_path / "tls", ["a"], ["127.0.0.1"]) == kept
    renamed = signer.keep(tmp_path / "tls", ["a", "b"], ["127.0.0.1"])
    assert renamed != kept
    other = authority.keep(tmp_path / "other").keep(tmp_path / "tls", ["a", "b"], ["127.0.0.1"])
    assert other != renamed
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "tls").iterdir()} == {0o600}


def test_names_longer_than_a_common_name_may_be_are_no_matter(tmp_path: Path) -> None:
    name = f"{'a' * 50}.{'b' * 20}.us-east-1.rds.amazonaws.com"
    chain = authority.keep(tmp_path / "ca").issue([name]).chain
    certificate = x509.load_pem_x509_certificate(chain.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [name]
