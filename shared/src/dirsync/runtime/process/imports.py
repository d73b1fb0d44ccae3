"""Imports a library without what it imports and we do not use. Imports are most of the time of a short run."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Inside, modules of these names cannot be imported (unless they already are), so optional uses are skipped."""
    with _standing_in(dict.fromkeys(names)):
        yield


@contextmanager
def deferred(*names: str, functions: Sequence[str] = ()) -> Iterator[None]:
    """Inside, ``import name`` of these modules imports nothing: it binds what imports the module at its first use.

    A library that uses the module after all has it, and what is imported outside is the module itself. Modules that
    already are imported stay as they are. ``functions`` can be imported from the modules without that being a use: what
    is bound imports the module when it is called.
    """
    with _standing_in({name: _Deferred(name, functions) for name in names}):
        yield


@contextmanager
def _standing_in(modules: dict[str, ModuleType | None]) -> Iterator[None]:
    """Inside, these stand where the modules of these names would, unless those already are imported."""
    loaded = cast("dict[str, Any]", sys.modules)
    added = {name: module for name, module in modules.items() if name not in loaded}
    loaded.update(added)
    try:
        yield
    finally:
        for name, module in added.items():
            if loaded.get(name) is module:
                del loaded[name]


class _Deferred(ModuleType):
    """Stands for a module until something of it is used."""

    def __init__(self, name: str, functions: Sequence[str]) -> None:
        super().__init__(name)
        if functions:
            # ``from name import function`` looks for it here, and so must not be a use.
            spec = find_spec(name)
            self.__path__ = (spec and spec.submodule_search_locations) or []
            self.__dict__.update({function: self._called_later(function) for function in functions})

    def _called_later(self, function: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            return self.__getattr__(function)(*arguments, **named)

        return call

    def __getattr__(self, name: str) -> Any:
        """An attribute of the module, which is imported now."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)
