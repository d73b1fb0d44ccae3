"""How settings are written: sizes, durations, octal modes, addresses.

Each kind of value has one spelling that is parsed and shown by the functions here. Any other spelling is an error: a
size that is misunderstood is worse than one that is refused. Nothing here knows pydantic or the names of settings: a
``ValueError`` says what is allowed, and the caller adds the name.
"""

import ipaddress
import re
from typing import NamedTuple, Self

from dirsync.limits import GIB, KIB, MIB

_SIZE = re.compile(r"([0-9]{1,19})(KiB|MiB|GiB)?", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h)", re.ASCII)
_MODE = re.compile(r"0?[0-7]{3}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_SCHEME = re.compile(r"[a-z][a-z0-9-]*:", re.ASCII)

_SIZE_UNITS = {"GiB": GIB, "MiB": MIB, "KiB": KIB}
_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_MAX_PORT = 65_535


def parse_size(text: str | int) -> int:
    """Bytes from ``4096``, ``4KiB``, ``16MiB`` or ``2GiB``; a number is taken as bytes."""
    match = _SIZE.fullmatch(str(text))
    if not match:
        msg = "a size is a whole number of bytes, or one with KiB, MiB or GiB, such as 4096 or 4KiB"
        raise ValueError(msg)
    return int(match[1]) * _SIZE_UNITS.get(match[2], 1)


def show_size(size: int) -> str:
    """The shortest exact spelling of a size in bytes."""
    for unit, factor in _SIZE_UNITS.items():
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def parse_duration(text: str | float) -> float:
    """Seconds from ``250ms``, ``30s``, ``5m`` or ``1h``; a number is taken as seconds."""
    if isinstance(text, int | float):
        return float(text)
    match = _DURATION.fullmatch(text)
    if not match:
        msg = "a duration is a whole number with ms, s, m or h, such as 250ms or 30s"
        raise ValueError(msg)
    return int(match[1]) * _MILLISECONDS[match[2]] / 1000


def show_duration(seconds: float) -> str:
    """The shortest exact spelling of a duration in seconds, to the millisecond."""
    milliseconds = round(seconds * 1000)
    if not milliseconds:
        return "0s"
    unit, factor = next((unit, factor) for unit, factor in _MILLISECONDS.items() if milliseconds % factor == 0)
    return f"{milliseconds // factor}{unit}"


def parse_mode(text: str | int) -> int:
    """Permission bits from octal text, such as ``0644``; setuid, setgid and sticky cannot be written."""
    if isinstance(text, int):
        return text
    if not _MODE.fullmatch(text):
        msg = "a mode is three octal digits, such as 0644"
        raise ValueError(msg)
    return int(text, 8)


def show_mode(mode: int) -> str:
    """Permission bits as four octal digits."""
    return f"{mode:04o}"


class Address(NamedTuple):
    """Where to listen or connect: a host name or IP address, and a port (0 to listen on any free one)."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: "str | Address") -> Self:
        """From ``host:port``; an IPv6 address stands in brackets."""
        if isinstance(text, Address):
            return cls(*text)
        host, colon, port = text.rpartition(":")
        if not colon or not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
            raise ValueError(_ADDRESS_FORM)
        return cls(_parse_host(host), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can be at the other end."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host.lower().rstrip(".") == "localhost"
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback

    @property
    def from_here(self) -> "Address":
        """The address by which this machine reaches a listener here: loopback where it listens on all addresses."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return Address(host, self.port)


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
        if scheme in ("unix", "unix-abstract") and rest:
            return cls(text, is_loopback=True)
        if scheme in ("dns", "ipv4", "ipv6"):
            return cls(text, is_loopback=all(_is_loopback(one) for one in rest.rpartition("/")[2].split(",")))
        if _SCHEME.match(text) and "/" in rest:
            return cls(text, is_loopback=False)
        try:
            return cls(text, is_loopback=Address.parse(text).is_loopback)
        except ValueError as error:
            msg = f"{error}, or a gRPC target with a scheme, such as dns:///server:50051"
            raise ValueError(msg) from None

    def __str__(self) -> str:
        return self.text


_ADDRESS_FORM = "an address is host:port with a port up to 65535, such as 127.0.0.1:50051 or [::1]:50051"


def _parse_host(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise ValueError(_ADDRESS_FORM) from None
    if not _HOST.fullmatch(host):
        raise ValueError(_ADDRESS_FORM)
    return host


def _is_loopback(address: str) -> bool:
    try:
        return Address.parse(address).is_loopback
    except ValueError:
        return False
