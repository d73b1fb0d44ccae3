"""When a certificate ends. Reads nothing else of it: OpenSSL has checked it before.

The standard library tells that date of a peer's certificate and of an authority's, but not of one's own. So this goes
through the DER encoding (X.690) as far as the field ``validity`` of RFC 5280, section 4.1.
"""

import base64
import re
from datetime import UTC, datetime

_PEM = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([^-]+)-----END")
_VERSION = 0xA0
"""Tag of the version, which a certificate of version 1 leaves out."""
_FIELDS_BEFORE_VALIDITY = 3
"""Serial number, algorithm of the signature, issuer."""
_UTC_TIME = 0x17
"""Tag of a time with two digits for the year, which is used up to 2049."""


def ends_at(chain: bytes) -> float:
    """When the first certificate of a chain ends. Unix time.

    Args:
        chain: certificates in PEM form, at least one, that OpenSSL has accepted.
    """
    return min(_not_after(base64.b64decode(body)) for body in _PEM.findall(chain))


def _not_after(certificate: bytes) -> float:
    body = _elements(_elements(_elements(certificate)[0][1])[0][1])
    validity = body[_FIELDS_BEFORE_VALIDITY + (body[0][0] == _VERSION)][1]
    tag, text = _elements(validity)[1]
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC).timestamp()


def _elements(content: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each element that stands in ``content``."""
    elements = []
    at = 0
    while at < len(content):
        tag, length = content[at], content[at + 1]
        at += 2
        if length & 0x80:
            digits = length & 0x7F
            length = int.from_bytes(content[at : at + digits], "big")
            at += digits
        elements.append((tag, content[at : at + length]))
        at += length
    return elements
