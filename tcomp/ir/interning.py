"""Hash-consing: structurally equal nodes are one object, so equality is identity (architecture.md, idea 8)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any
from weakref import ref

from tcomp.forks import INTERNING, held_across_forks

_lock = threading.Lock()
held_across_forks(_lock, INTERNING)
_LOOSE = frozenset({float, bool})  # types whose equality says too little
_LOOSE_WORDS = ("float", "bool", "Any")


class _Ref(ref[Any]):
    """A weak reference that knows under which key its node stands."""

    __slots__ = ("key",)
    key: tuple[Any, ...]


def identity(value: object) -> object:
    """A field's contribution to its node's interning key.

    Python finds 0.0 == -0.0, 1 == 1.0 == True and nan != nan; constants must tell all of these apart.
    """
    return (type(value), repr(value)) if isinstance(value, bool | float) else value


class Interned(type):
    """Metaclass of frozen dataclasses whose equal instances are the same object.

    Classes are declared `@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)`; hash and
    equality are then object identity. Pickling goes through the constructor and so re-interns. A field
    `_facts` holds what is computed of a node later; all other fields are its identity.
    """

    may_be_loose: bool  # whether a field can hold a number that equals another kind of number
    table: dict[tuple[Any, ...], _Ref]
    forget: Callable[[_Ref], None]
    setters: tuple[Callable[[Any, Any], None], ...] | None  # of the fields, known at the first node
    set_facts: Callable[[Any, Any], None] | None
    tail: tuple[Any, ...]  # what the last fields are where they are not given

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        types = namespace.get("__annotations__", {"": "Any"}).items()
        cls.may_be_loose = any(
            word in str(kind) for field, kind in types if field != "_facts" for word in _LOOSE_WORDS
        )
        table: dict[tuple[Any, ...], _Ref] = {}
        cls.table = table
        cls.setters = cls.set_facts = None

        def forget(dead: _Ref) -> None:
            # Another thread may have made the node anew; then the entry is no longer this one.
            if table.get(dead.key) is dead:
                table.pop(dead.key, None)

        cls.forget = forget

    def __call__(cls, *args: Any, **named: Any) -> Any:
        # Most calls name a node that is there already: look before making it.
        key = args
        if cls.may_be_loose and not _LOOSE.isdisjoint(map(type, args)):
            key = tuple(map(identity, args))
        found = cls.table.get(key)
        if found is not None and not named and (known := found()) is not None:
            return known
        setters = cls.setters or _prepared(cls)
        if named or len(args) != len(setters):
            return cls(*_completed(cls, args, named))
        node: Any = object.__new__(cls)  # type: ignore[arg-type]
        for setter, value in zip(setters, args, strict=True):
            setter(node, value)
        if cls.set_facts is not None:
            cls.set_facts(node, {})
        reference = _Ref(node, cls.forget)
        reference.key = key
        first = cls.table.setdefault(key, reference)  # atomic: of two threads one makes the node
        return node if first is reference else _present(cls, key, node, reference)


def _completed(cls: Any, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """All fields in order. Raises TypeError where one is missing, unknown or given twice."""
    names = cls.__match_args__
    missing = len(names) - len(args)
    if not named and 0 < missing <= len(cls.tail):
        completed: tuple[Any, ...] = args + cls.tail[-missing:]
        return completed
    given = dict(zip(names, args, strict=False))
    if len(args) > len(names) or not given.keys().isdisjoint(named):
        raise TypeError(f"{cls.__name__}: arguments {args!r} and {named!r} for {names}")
    values = {**dict(zip(reversed(names), reversed(cls.tail), strict=False)), **given, **named}
    if len(values) != len(names) or any(name not in values for name in names):
        raise TypeError(f"{cls.__name__}: arguments {args!r} and {named!r} for {names}")
    return tuple([values[name] for name in names])


def _present(cls: Interned, key: tuple[Any, ...], node: Any, reference: _Ref) -> Any:
    """The node that stands under a key, which is this one if that has died."""
    with _lock:
        found = cls.table.get(key)
        if found is not None and (known := found()) is not None:
            return known
        cls.table[key] = reference
    return node


def _prepared(cls: Interned) -> tuple[Callable[[Any, Any], None], ...]:
    """The setters of a class's slots, which a frozen class has no other way to fill quickly."""
    known = fields(cls)  # type: ignore[arg-type]
    cls.tail = tuple(f.default for f in known if f.init and f.default is not MISSING)
    if hasattr(cls, "_facts"):
        cls.set_facts = cls._facts.__set__
    cls.setters = tuple(
        getattr(cls, name).__set__
        for name in cls.__match_args__  # type: ignore[attr-defined]
    )
    return cls.setters


def reduce_interned(node: Any) -> tuple[Any, tuple[Any, ...]]:
    """`__reduce__` of interned nodes."""
    return type(node), tuple(getattr(node, name) for name in type(node).__match_args__)
