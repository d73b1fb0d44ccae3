"""When a certificate ends, as another reader of certificates says it."""

import ssl
from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509

from dirsync.rpc.auth.certificate import ends_at

EARLY, LATE, AFTER_2049 = (datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC) for year in (2031, 2042, 2061))
CA = trustme.CA()


def issue(end: datetime) -> bytes:
    """A certificate in PEM form."""
    return CA.issue_cert("localhost", not_after=end).cert_chain_pems[0].bytes()


@pytest.mark.parametrize("end", [EARLY, LATE, AFTER_2049])
def test_end(end: datetime) -> None:
    """The end is that of the certificate, with two digits for the year or with four."""
    pem = issue(end)

    assert end.timestamp() == x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp() == ends_at(pem)


def test_chain() -> None:
    """A chain ends with the first certificate in it, wherever that stands; text between them does not count."""
    chain = b"# the leaf\n" + issue(LATE) + b"# the authority\n" + issue(EARLY) + issue(AFTER_2049)

    assert EARLY.timestamp() == ends_at(chain)


def test_long_names() -> None:
    """Fields that need several bytes for their length are passed over."""
    names = [f"{'x' * 60}{number}.example.com" for number in range(60)]
    issued = CA.issue_cert(*names, organization_name="o" * 60, not_after=EARLY)

    assert EARLY.timestamp() == ends_at(issued.cert_chain_pems[0].bytes())


def test_version_1() -> None:
    """A certificate of version 1 has no field for its version."""
    end = b"\x17\x0d310203040506Z"
    validity = _element(0x30, end.replace(b"31", b"21", 1) + end)
    body = _element(0x30, _element(2, b"\x01") + _element(0x30, b"") + _element(0x30, b"") + validity)

    assert EARLY.timestamp() == ends_at(_pem(_element(0x30, body)))


def _element(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


def _pem(der: bytes) -> bytes:
    return ssl.DER_cert_to_PEM_cert(der).encode()
