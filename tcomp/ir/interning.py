"""Hash-consing: structurally equal nodes are one object, so equality is identity (architecture.md, idea 8)."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakValueDictionary

_table: WeakValueDictionary[tuple[Any, ...], Any] = WeakValueDictionary()
_lock = threading.Lock()


def identity(value: object) -> object:
    """A field's contribution to its node's interning key.

    Python finds 0.0 == -0.0, 1 == 1.0 == True and nan != nan; constants must tell all of these apart.
    """
    return (type(value), repr(value)) if isinstance(value, bool | int | float) else value


class Interned(type):
    """Metaclass of frozen dataclasses whose equal instances are the same object.

    Classes are declared `@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)`; hash and
    equality are then object identity. Pickling goes through the constructor and so re-interns.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        node = super().__call__(*args, **kwargs)
        fields = tuple(getattr(node, name) for name in cls.__match_args__)  # type: ignore[attr-defined]
        key = (cls, *map(identity, fields))
        with _lock:
            return _table.setdefault(key, node)


def reduce_interned(node: Any) -> tuple[Any, tuple[Any, ...]]:
    """`__reduce__` of interned nodes."""
    return type(node), tuple(getattr(node, name) for name in type(node).__match_args__)
