"""Puts the simulation in the place of the machine: what the modules of dirsync know as ``os``, the clock and chance.

The modules are production code and know nothing of this. Wherever one of them holds ``os``, ``time.time_ns`` and so on,
as a name of the module or as the default of a parameter, the stand-in is put there, and taken away again. A stand-in
asks :data:`current` what to do, so that many worlds can follow one another without any patching in between.
"""

import errno
import fcntl
import os
import random
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from random import Random
from types import FunctionType, ModuleType
from typing import Any

from dirsync.fs.mounts import TABLE, MountTable
from tests.simulation.machine.fakeos import FakeOs
from tests.simulation.machine.threads import WorkerThreading

PREFIXES = ("dirsync", "dirsync_server", "dirsync_client")
MODULES = (
    "dirsync.endpoint.replica",
    "dirsync.endpoint.source.source",
    "dirsync.endpoint.apply.commit",
    "dirsync_server.services.write_api",
    "dirsync_client.engine",
    "dirsync_client.receive.reception",
    "dirsync_client.transfer.executor",
    "tests.simulation.sides.client",
)
"""What has to be loaded before it can be patched; what these import comes along."""


@dataclass(slots=True)
class Current:
    """The world that runs now, and whose turn it is in it."""

    wall_ns: int = 0
    process: FakeOs | None = None
    random: Random = field(default_factory=Random)


current = Current()


def process() -> FakeOs:
    """The program whose turn it is."""
    assert current.process is not None, "a call of the kernel outside of any program's turn"
    return current.process


@contextmanager
def turn(of: FakeOs) -> Iterator[None]:
    """While this lasts, calls of the kernel are those of this program."""
    before, current.process = current.process, of
    try:
        yield
    finally:
        current.process = before


class _Os:
    def __getattr__(self, name: str) -> Any:
        return getattr(process(), name)


class _Fcntl:
    def __getattr__(self, name: str) -> Any:
        return process().flock if name == "flock" else getattr(fcntl, name)

    def ioctl(self, _descriptor: int, _request: int, _argument: bytes) -> int:
        """This file system cannot share blocks."""
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


class _Random:
    def __getattr__(self, name: str) -> Any:
        return getattr(current.random, name)


class _Secrets:
    def token_bytes(self, size: int) -> bytes:
        return current.random.randbytes(size)

    def token_hex(self, size: int) -> str:
        return current.random.randbytes(size).hex()


class _Uuid:
    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(int=current.random.getrandbits(128), version=4)


class _Thread:
    """A thread that does all of its work when it is started: nothing overtakes anything."""

    def __init__(self, target: Callable[..., object], args: tuple[Any, ...] = (), **_: object) -> None:
        self._target, self._args = target, args

    def start(self) -> None:
        self._target(*self._args)

    def join(self, _timeout: float | None = None) -> None:
        pass


class Quiet:
    """Takes whatever it is told, and does nothing."""

    wake_at: float | None = None
    """It never wants to be called again."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_arguments, **_named: None


class _Threading:
    Thread = _Thread

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)


def wall_ns() -> int:
    """The time in the present world."""
    return current.wall_ns


def _monotonic() -> float:
    return current.wall_ns / 1e9


def _draw() -> float:
    return current.random.random()


def _uniform(low: float, high: float) -> float:
    return current.random.uniform(low, high)


def _sleep(_seconds: float) -> None:
    msg = "nothing sleeps in the simulation"
    raise AssertionError(msg)


def _kernel_function(name: str) -> Callable[..., int] | None:
    """As :func:`dirsync.fs.kernel._function`: calls that answer 0 or an error number."""

    def call(*arguments: Any) -> int:
        try:
            if name == "renameat2":
                process().exchange(*arguments[:4])
            elif name == "statx":
                process().statx(*arguments)
            else:
                process().syncfs(*arguments)
        except OSError as error:
            return error.errno or 0
        return 0

    return call if name in ("renameat2", "statx", "syncfs") else None


_STAND_INS: tuple[tuple[object, object], ...] = (
    (os, _Os()),
    (fcntl, _Fcntl()),
    (random, _Random()),
    (secrets, _Secrets()),
    (uuid, _Uuid()),
    (random.random, _draw),
    (random.uniform, _uniform),
    (time.time_ns, wall_ns),
    (time.monotonic, _monotonic),
    (time.sleep, _sleep),
    (os.fsync, lambda descriptor: process().fsync(descriptor)),
    (os.copy_file_range, lambda *arguments: process().copy_file_range(*arguments)),
    # Mounts come and go on the machine that runs the tests.
    (TABLE, MountTable("no table")),
)
_PLACED: tuple[tuple[str, str, object], ...] = (
    ("dirsync.fs.kernel", "_function", _kernel_function),
    ("dirsync.fs.kernel", "_kernel", lambda: (6, 18)),
    ("dirsync_server.services.write_api", "get_logger", Quiet),
    ("dirsync.fs.read.hashing", "threading", _Threading()),
)
_CLIENT: tuple[tuple[str, str, str], ...] = (
    ("dirsync_client.session.link", "Caller", "SimulatedCaller"),
    ("dirsync_client.transfer.executor", "PushStream", "SimulatedStream"),
    ("dirsync_client.receive.reception", "ReplicaWatch", "SimulatedWatch"),
    ("dirsync_client.receive.reception", "AgreedTree", "SimulatedAgreedTree"),
)
"""What the client's own stand-ins replace."""
"""What stands in one module alone."""


@contextmanager
def simulated() -> Iterator[None]:
    """While this lasts, dirsync has no machine but :data:`current`."""
    for name in MODULES:
        import_module(name)
    undo: list[Callable[[], None]] = []
    try:
        for module in [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in PREFIXES]:
            _patch(module, undo)
        for name in [name for name in sys.modules if name.startswith("dirsync_client.")]:
            if getattr(sys.modules[name], "threading", None) is threading:
                _set(sys.modules[name], "threading", WorkerThreading(), undo)
        for name, attribute, stand_in in _PLACED:
            _set(sys.modules[name], attribute, stand_in, undo)
        ours = sys.modules["tests.simulation.sides.client_parts"]
        for name, attribute, replacement in _CLIENT:
            _set(sys.modules[name], attribute, getattr(ours, replacement), undo)
        yield
    finally:
        for restore in reversed(undo):
            restore()


def _stand_in(value: object) -> object | None:
    return next((stand_in for real, stand_in in _STAND_INS if real is value), None)


def _set(holder: Any, attribute: str, value: object, undo: list[Callable[[], None]]) -> None:
    before = getattr(holder, attribute)
    setattr(holder, attribute, value)
    undo.append(lambda: setattr(holder, attribute, before))


def _patch(module: ModuleType, undo: list[Callable[[], None]]) -> None:
    for name, value in list(vars(module).items()):
        stand_in = _stand_in(value)
        if stand_in is not None:
            _set(module, name, stand_in, undo)
        elif getattr(value, "__module__", None) == module.__name__:
            for function in _functions(value):
                _patch_defaults(function, undo)


def _functions(value: object) -> Iterator[FunctionType]:
    members = list(vars(value).values()) if isinstance(value, type) else [value]
    for member in members:
        function = getattr(member, "__func__", member)
        if isinstance(function, FunctionType):
            yield function


def _patch_defaults(function: FunctionType, undo: list[Callable[[], None]]) -> None:
    defaults, keywords = function.__defaults__ or (), function.__kwdefaults__ or {}
    if any(_stand_in(value) for value in defaults):
        _set(function, "__defaults__", tuple(_stand_in(value) or value for value in defaults), undo)
    if any(_stand_in(value) for value in keywords.values()):
        changed = {name: _stand_in(value) or value for name, value in keywords.items()}
        _set(function, "__kwdefaults__", changed, undo)
