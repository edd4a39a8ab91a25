"""Hash-consing: structurally equal nodes are one object, so equality is identity (architecture.md, idea 8)."""

from __future__ import annotations

import threading
from typing import Any
from weakref import KeyedRef

from tcomp.forks import INTERNING, held_across_forks

_table: dict[tuple[Any, ...], KeyedRef[Any, Any]] = {}
_lock = threading.Lock()
held_across_forks(_lock, INTERNING)
_LOOSE = frozenset({float, bool})  # types whose equality says too little
_LOOSE_WORDS = ("float", "bool", "Any")


def identity(value: object) -> object:
    """A field's contribution to its node's interning key.

    Python finds 0.0 == -0.0, 1 == 1.0 == True and nan != nan; constants must tell all of these apart.
    """
    return (type(value), repr(value)) if isinstance(value, bool | float) else value


class Interned(type):
    """Metaclass of frozen dataclasses whose equal instances are the same object.

    Classes are declared `@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)`; hash and
    equality are then object identity. Pickling goes through the constructor and so re-interns.
    """

    may_be_loose: bool  # whether a field can hold a number that equals another kind of number

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        fields = namespace.get("__annotations__", {"": "Any"}).values()
        cls.may_be_loose = any(word in str(f) for f in fields for word in _LOOSE_WORDS)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        # Most calls name a node that is there already: look before making it.
        names = cls.__match_args__  # type: ignore[attr-defined]
        node = None
        if kwargs or len(args) != len(names):
            node = super().__call__(*args, **kwargs)
            args = tuple(getattr(node, name) for name in names)
        loose = cls.may_be_loose and not _LOOSE.isdisjoint(map(type, args))
        key = (cls, *map(identity, args)) if loose else (cls, *args)
        found = _table.get(key)
        if found is not None and (known := found()) is not None:
            return known
        if node is None:
            node = super().__call__(*args)
        with _lock:
            found = _table.get(key)
            if found is not None and (known := found()) is not None:
                return known
            _table[key] = KeyedRef(node, _forget, key)
        return node


def _forget(dead: KeyedRef[Any, Any]) -> None:
    # Another thread may have made the node anew; then the entry is no longer this one.
    if _table.get(dead.key) is dead:
        _table.pop(dead.key, None)


def reduce_interned(node: Any) -> tuple[Any, tuple[Any, ...]]:
    """`__reduce__` of interned nodes."""
    return type(node), tuple(getattr(node, name) for name in type(node).__match_args__)
