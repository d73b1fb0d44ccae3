"""Explains gRPC's messages about connections that failed. Pure.

gRPC quotes its TLS library (BoringSSL's reasons, X509_verify_cert_error_string(3)). The reasons that a person can act
on are explained; every other text is left as it is.
"""

import re

_REFUSED = "failed to connect to all addresses"
_ADDRESS = re.compile(r"last error: \w+: (\w+:\S+?): ")
_REASONS = (
    ("certificate has expired", "the server's certificate has expired; renew it, or check the clock of this host"),
    ("certificate is not yet valid", "the server's certificate is not valid yet; check the clock of this host"),
    (
        "Hostname Verification Check failed",
        "the server's certificate is for another name; connect by one of its names, or set TLS_SERVER_NAME to one",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is of no authority that this client trusts; set TLS_CA_FILE to that authority",
    ),
    ("WRONG_VERSION_NUMBER", "the server does not use TLS; enable it there, or disable it here"),
    (
        "Socket closed",
        "the server closed the connection during the handshake; it may require TLS, or another TLS_CERT_FILE",
    ),
)


def explain(text: str) -> str:
    """What the text of a failed call means, or the text itself where that is not known."""
    if _REFUSED not in text:
        return text
    address = _ADDRESS.search(text)
    where = f" ({address[1]})" if address else ""
    return next((f"{meaning}{where}" for sign, meaning in _REASONS if sign in text), text)
