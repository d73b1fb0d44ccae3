"""Certificates for loopback: an authority of our own, as files that settings can name."""

from datetime import datetime
from pathlib import Path
from typing import Any

import trustme


class Authority:
    """A certificate authority; its files lie in ``place``."""

    def __init__(self, place: Path, name: str) -> None:
        self._authority = trustme.CA(organization_name=name)
        self._place = place
        self.file = place / f"{name}.pem"
        """The authority to trust."""
        self._authority.cert_pem.write_to_path(self.file)

    def issue(
        self,
        name: str,
        *identities: str,
        common_name: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> dict[str, Any]:
        """A certificate for these identities (host names, addresses), as the settings that name its files."""
        issued = self._authority.issue_cert(
            *identities, common_name=common_name, not_before=not_before, not_after=not_after
        )
        certificate, key = self._place / f"{name}.crt", self._place / f"{name}.key"
        for number, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(certificate, append=number > 0)
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return {"tls_cert_file": certificate, "tls_key_file": key}

    def itself(self, name: str) -> dict[str, Any]:
        """The authority's own self-signed certificate, as the settings that name its files."""
        certificate, key = self._place / f"{name}.crt", self._place / f"{name}.key"
        self._authority.cert_pem.write_to_path(certificate)
        self._authority.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return {"tls_cert_file": certificate, "tls_key_file": key}
