"""What gRPC says when a connection does not come about."""

import pytest

from dirsync.rpc.handshake import explain

BEGIN = "failed to connect to all addresses; last error: UNKNOWN: ipv4:192.0.2.1:50051: "
TLS = "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:"


@pytest.mark.case("K02")
@pytest.mark.parametrize(
    "text, said",
    [
        (f"{BEGIN}{TLS}CERTIFICATE_VERIFY_FAILED: certificate has expired: OK", "has expired"),
        (f"{BEGIN}{TLS}CERTIFICATE_VERIFY_FAILED: certificate is not yet valid: OK", "is not valid yet"),
        (f"{BEGIN}{TLS}CERTIFICATE_VERIFY_FAILED: self signed certificate: OK", "TLS_CA_FILE"),
        (f"{BEGIN}Hostname Verification Check failed.", "TLS_SERVER_NAME"),
        (f"{BEGIN}{TLS}WRONG_VERSION_NUMBER: OK", "does not use TLS"),
        (f"{BEGIN}Socket closed", "TLS_CERT_FILE"),
    ],
)
def test_known(text: str, said: str) -> None:
    """A cause that a user can fix is explained in words, with the address."""
    assert said in explain(text)
    assert explain(text).endswith(" (ipv4:192.0.2.1:50051)")


@pytest.mark.parametrize(
    "text", ["", "Socket closed", "certificate has expired", f"{BEGIN}Connection refused", "Deadline Exceeded"]
)
def test_others(text: str) -> None:
    """Every other text is left as it is, also one that has such words after the connection was made."""
    assert text == explain(text)
