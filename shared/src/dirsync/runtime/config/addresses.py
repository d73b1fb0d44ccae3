"""Where to listen and whom to connect to: ``host:port``, and the targets that gRPC resolves.

As in :mod:`dirsync.runtime.config.values`, any other spelling is an error that says what is allowed: gRPC itself takes
almost any text for a name, and tries for ever to resolve it.
"""

import ipaddress
import re
from typing import NamedTuple, Self

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?", re.ASCII)
_NUMERIC = re.compile(r"(.*\.)?(0[xX][0-9A-Fa-f]*|[0-9]+)\.?", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_MAX_PORT = 65_535
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

_ADDRESS_FORM = "an address is host:port with a port up to 65535, such as 127.0.0.1:50051 or [::1]:50051"
_TARGET_FORM = f"{_ADDRESS_FORM}, or a gRPC target with a scheme, such as dns:///server:50051"

_PATH_SCHEMES = ("unix", "unix-abstract")
_ADDRESS_SCHEMES = ("dns", "ipv4", "ipv6")
_OTHER_SCHEMES = ("vsock", "xds")
"""Schemes of gRPC whose rest is not checked here."""


class Address(NamedTuple):
    """Where to listen or connect: a host name or IP address, and a port (0 to listen on any free one)."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: "str | Address") -> Self:
        """From ``host:port``; an IPv6 address stands in brackets."""
        if isinstance(text, Address):
            return cls(*text)
        if hint := _correction(text):
            msg = f"{_ADDRESS_FORM}; {hint}"
            raise ValueError(msg)
        host, colon, port = text.rpartition(":")
        if not colon or not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
            raise ValueError(_ADDRESS_FORM)
        return cls(parse_host(host), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can be at the other end."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return self.is_localhost
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback

    @property
    def is_localhost(self) -> bool:
        """Whether it is the name for the loopback addresses of both families."""
        return self.host.lower().rstrip(".") == "localhost"

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for all addresses of the machine, of both families whichever it is written in."""
        return self.host in _WILDCARDS

    @property
    def from_here(self) -> "Address":
        """The address by which this machine reaches a listener here: loopback where it listens on all addresses."""
        if self.is_wildcard:
            return Address("127.0.0.1", self.port)
        return Address("localhost", self.port) if self.is_localhost else self


class Target(NamedTuple):
    """A server to connect to, in any form that gRPC resolves."""

    text: str
    is_loopback: bool

    @classmethod
    def parse(cls, text: "str | Target") -> Self:
        """From ``host:port``, or a gRPC target with a scheme, such as ``dns:///server:50051``."""
        if isinstance(text, Target):
            return cls(*text)
        scheme, _, rest = text.partition(":")
        if scheme in _PATH_SCHEMES and rest.strip("/") and not rest.endswith("/"):
            return cls(text, is_loopback=True)
        if scheme in _OTHER_SCHEMES and "/" in rest:
            return cls(text, is_loopback=False)
        try:
            if scheme in _ADDRESS_SCHEMES and not _PORT.fullmatch(rest):
                return cls(text, is_loopback=all(one.is_loopback for one in _addresses(scheme, rest)))
            address = _to_connect(text)
        except ValueError as error:
            raise ValueError(str(error).replace(_ADDRESS_FORM, _TARGET_FORM)) from None
        return cls(text, is_loopback=address.is_loopback)

    def __str__(self) -> str:
        return self.text


def parse_host(host: str) -> str:
    """A host name, an IPv4 address, or an IPv6 address in brackets, which are removed."""
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise ValueError(_ADDRESS_FORM) from None
    if not _HOST.fullmatch(host) or ".." in host or (_NUMERIC.fullmatch(host) and not _is_ipv4(host)):
        raise ValueError(_ADDRESS_FORM)
    return host


def parse_server_name(text: str) -> str:
    """The name or IP address that a certificate must have; without port or scheme."""
    try:
        return parse_host(f"[{text}]" if ":" in text else text)
    except ValueError:
        msg = "a name is a host name or IP address without port and scheme, such as server.example"
        raise ValueError(msg) from None


def _addresses(scheme: str, rest: str) -> list[Address]:
    """The addresses of a target: ``dns:[//authority/]host:port``, ``ipv4:`` and ``ipv6:address:port,...``."""
    if scheme == "dns":
        authority, slash, endpoint = (
            rest.removeprefix("//").partition("/") if rest.startswith("//") else ("", "/", rest)
        )
        if not slash or (authority and not _HOST.fullmatch(authority.partition(":")[0])):
            raise ValueError(_ADDRESS_FORM)
        return [_to_connect(endpoint)]
    addresses = [_to_connect(one) for one in rest.split(",")]
    if any((":" in address.host) != (scheme == "ipv6") or not _is_ip(address.host) for address in addresses):
        msg = f"{scheme}: is followed by IP addresses of that family, such as "
        msg += "ipv6:[::1]:50051" if scheme == "ipv6" else "ipv4:127.0.0.1:50051"
        raise ValueError(msg)
    return addresses


def _to_connect(text: str) -> Address:
    address = Address.parse(text)
    if not address.port:
        msg = f"{_ADDRESS_FORM}; nothing listens on port 0"
        raise ValueError(msg)
    return address


def _correction(text: str) -> str:
    """What was probably meant by a URL, or by an address with a path after it."""
    scheme, separator, rest = text.partition("://")
    if not separator or "/" in scheme:
        scheme, rest = "", text
    rest = rest.partition("/")[0] if "/" in rest.lstrip("/") else rest
    if not scheme and rest == text:
        return ""
    try:
        host, colon, port = rest.rpartition("@")[2].rpartition(":")
        parse_host(host)
    except ValueError:
        return f"{scheme}:// is no scheme of gRPC" if scheme else ""
    meant = f"write {host}{colon}{port}"
    if scheme:
        return f"{scheme}:// is no scheme of gRPC: {meant}" + (" and turn on TLS" if scheme == "https" else "")
    return f"there is a slash after it: {meant}"


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
