"""What gRPC says when a connection does not come about, in words of ours. Pure.

gRPC gives the words of its TLS library (BoringSSL's reasons, X509_verify_cert_error_string(3)) among its own. We look
for those that a person can do something about; every other text is left as it is.
"""

import re

_REFUSED = "failed to connect to all addresses"
_ADDRESS = re.compile(r"last error: \w+: (\w+:\S+?): ")
_REASONS = (
    ("certificate has expired", "the server's certificate has expired; renew it, or see to the clock of this host"),
    ("certificate is not yet valid", "the server's certificate is not valid yet; see to the clock of this host"),
    (
        "Hostname Verification Check failed",
        "the server's certificate is for another name; connect by a name that it has, or set TLS_SERVER_NAME to one",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is of no authority that this client trusts; set TLS_CA_FILE to that of its authority",
    ),
    ("WRONG_VERSION_NUMBER", "the server does not speak TLS; switch it on there, or off here"),
    (
        "Socket closed",
        "the server ended the connection before anything was said; it may ask for TLS, or for another TLS_CERT_FILE",
    ),
)


def explain(text: str) -> str:
    """The text of a call that failed, or what it means where that is known."""
    if _REFUSED not in text:
        return text
    address = _ADDRESS.search(text)
    where = f" ({address[1]})" if address else ""
    return next((f"{meaning}{where}" for sign, meaning in _REASONS if sign in text), text)
