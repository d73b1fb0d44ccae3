"""Lists of targets: one server or several, and what is set for each of them by its name.

``host:port`` is one target without a name. ``a:50051,b:50051`` are two, whose names are their addresses. In
``north=a:50051,south=b:50051`` they have names of their own. A value that is one gRPC target as a whole is one target,
whatever commas it has (``ipv4:10.0.0.1:50051,10.0.0.2:50051``), unless it begins with a name.

What differs by target is written as ``north=...,south=...``. A value without a name is for all targets.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Generic, NamedTuple, Self, TypeVar

from dirsync.limits import LIMITS
from dirsync.runtime.config.addresses import Target
from dirsync.runtime.config.fields import Kind
from dirsync.runtime.config.library import PlainValidator
from dirsync.runtime.config.values import check_path

T = TypeVar("T")

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
"""What namespaces and targets may be called."""
_NAMED = re.compile(r"([^=,:/]*)=(.*)", re.ASCII | re.DOTALL)
"""A name and what it stands for: an address has a colon or a slash before any equals sign."""


def check_name(text: str) -> str:
    """The name of a namespace or target.

    Raises:
        ValueError: it is none.
    """
    if not NAME.fullmatch(text):
        msg = "must be 1 to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends"
        raise ValueError(msg)
    return text


class NamedTarget(NamedTuple):
    """One server."""

    name: str
    """Empty where there is only one, and it was given no name."""
    address: Target

    def __str__(self) -> str:
        return f"{self.name}={self.address}" if self.name and self.name != str(self.address) else str(self.address)


class TargetList(NamedTuple):
    """The servers of a client, in the order in which they were given."""

    targets: tuple[NamedTarget, ...]

    @classmethod
    def parse(cls, text: "str | TargetList") -> Self:
        """From a target, or several with commas between them, each with or without a name.

        Raises:
            ValueError: an item is empty or no target, or a name is none or there twice.
        """
        if isinstance(text, TargetList):
            return cls(*text)
        if not _NAMED.fullmatch(text):
            try:
                return cls((NamedTarget("", Target.parse(text)),))
            except ValueError:
                if "," not in text:
                    raise
        targets = tuple(_parse_item(item) for item in _items(text))
        seen: set[str] = set()
        for name, _ in targets:
            # By case as well: each has a directory in STATE_DIR, and some file systems cannot tell the two apart.
            if name.lower() in seen:
                msg = f"{name} is there twice; give each target a name of its own, such as north=host:50051"
                raise ValueError(msg)
            seen.add(name.lower())
        if len(targets) > LIMITS.max_targets:
            msg = f"has {len(targets)} targets; one client has {LIMITS.max_targets} at the most (max_targets)"
            raise ValueError(msg)
        return cls(targets)

    @property
    def are_named(self) -> bool:
        """Whether they are told apart by name: all are, but for a single one that was given none."""
        return bool(self.targets[0].name)

    def __str__(self) -> str:
        return ",".join(map(str, self.targets))


class PerTarget(NamedTuple, Generic[T]):
    """One value for all targets, or values by their names."""

    value: T | None = None
    """For all."""
    by_name: Mapping[str, T] | None = None

    def of(self, name: str) -> T | None:
        """What is set for a target; ``None`` if nothing is."""
        return self.value if self.by_name is None else self.by_name.get(name)

    def unknown(self, targets: TargetList) -> Iterator[str]:
        """A line for each name that no target has; to be put after the name of the setting."""
        known = {name for name, _ in targets.targets if name}
        for name in self.by_name or ():
            if name not in known:
                there = f"they are {', '.join(sorted(known))}" if known else "it has one target, without a name"
                yield f"names {name}, which SERVER does not: {there}"

    def __str__(self) -> str:
        if self.by_name is None:
            return str(self.value)
        return ",".join(f"{name}={value}" for name, value in self.by_name.items())


def per_target(parse: Callable[[str], T]) -> Callable[[object], object]:
    """A validator of a setting that may differ by target; ``parse`` is that of one value."""

    def validate(value: object) -> object:
        if not isinstance(value, str):
            return value
        if not _NAMED.fullmatch(value):
            return PerTarget(parse(value))
        found: dict[str, T] = {}
        for item in _items(value):
            named = _NAMED.fullmatch(item)
            if named is None:
                msg = "an item has no name; write each as name=value, with the name that SERVER gives the target"
                raise ValueError(msg)
            name, text = named[1].strip(), named[2].strip()
            if name in found:
                msg = f"{name} is there twice"
                raise ValueError(msg)
            if not text:
                msg = f"{name}= is empty"
                raise ValueError(msg)
            found[name] = parse(text)
        return PerTarget(None, found)

    return validate


def _items(text: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        msg = "an item of the list is empty; remove the comma, or write a target there"
        raise ValueError(msg)
    return items


def _parse_item(item: str) -> NamedTarget:
    named = _NAMED.fullmatch(item)
    if named is None:
        return NamedTarget(item, Target.parse(item))
    try:
        return NamedTarget(check_name(named[1].strip()), Target.parse(named[2].strip()))
    except ValueError as error:
        msg = f"{item}: {error}"
        raise ValueError(msg) from None


def _parse_file(text: str) -> Path:
    return Path(check_path(text, is_file=True))


Servers = Annotated[TargetList, PlainValidator(TargetList.parse), Kind("TARGETS", is_place=True)]
Namespaces = Annotated[PerTarget[str], PlainValidator(per_target(check_name)), Kind("NAME")]
SecretFiles = Annotated[
    PerTarget[Path] | None, PlainValidator(per_target(_parse_file)), Kind("FILE", secret=True, is_path=True)
]
