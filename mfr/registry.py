"""Things that are found by name: those that ship with MFR, and those that a user wrote elsewhere.

A registry is a table from names to places, so listing the names imports nothing, and adding a
network, a method or a detector to MFR is one module and one line of such a table. What lies outside
the package is named by its place, ``package.module:name``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

from mfr.errors import MfrError

T = TypeVar("T")


class Registry(Generic[T]):
    """The things of one kind, by name.

    Args:
        kind: what they are, in the singular, for messages: 'backbone'.
        places: the place of each name, ``package.module:attribute``; imported on first use.
        error: the error raised for a name that leads nowhere.
    """

    def __init__(self, kind: str, places: Mapping[str, str], error: type[MfrError]) -> None:
        self.kind = kind
        self._places = dict(places)
        self._error = error

    def names(self) -> list[str]:
        """The names that ship with MFR, in the order of the table."""
        return list(self._places)

    def find(self, name: str) -> T:
        """The thing that ships with MFR under ``name``.

        Nothing but the modules in the table is ever imported, so ``name`` may come from a file.

        Raises:
            MfrError: there is none; of the class given to the registry.
        """
        if name not in self._places:
            raise self._error(
                f"There is no {self.kind} '{name}': choose one of {', '.join(self._places)}."
            )
        return cast(T, _import(self._places[name]))

    def find_anywhere(self, name: str) -> T:
        """The thing under ``name``, which may also be the place of one outside MFR.

        A place such as ``my_package.networks:tiny`` is imported, which runs its module's code: call
        this with names that the user gave, never with names read from a model file.

        Raises:
            MfrError: there is none; of the class given to the registry.
        """
        if not is_place(name):
            return self.find(name)
        try:
            return cast(T, _import(name))
        except (ImportError, AttributeError) as error:
            raise self._error(
                f"The {self.kind} '{name}' cannot be imported ({error}): check the name, which is "
                "package.module:name, and that Python finds the package (PYTHONPATH)."
            ) from error


def is_place(name: str) -> bool:
    """Whether ``name`` is a place, ``package.module:attribute``, and not a name of ours."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), attribute))


def _import(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
