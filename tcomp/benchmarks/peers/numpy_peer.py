"""NumPy: what a competent user would write. Products go into given arrays where they can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tcomp.benchmarks.operations import Contraction, Operation
from tcomp.benchmarks.peers.mode import Inputs, Mode, Unavailable

VIEWS = {"mk,kn->mn": "nn", "km,kn->mn": "tn", "mk,nk->mn": "nt", "km,nk->mn": "tt"}


def version() -> str:
    return np.__version__


def modes(operation: Operation, inputs: Inputs, threads: int) -> list[Mode]:
    found = [_translated(operation, inputs)]
    if (
        isinstance(operation, Contraction)
        and set(operation.dtypes) == {"f32"}
        and not operation.epilogue.label
    ):
        found += _products(operation, inputs)
    return found


def _translated(operation: Operation, inputs: Inputs) -> Mode:
    """The program as written in NumPy's terms."""
    from tcomp.benchmarks.operations.program import bound
    from tcomp.interop.numpy_peer import PeerUnavailable, translate

    try:
        peer = translate(bound(operation))
    except PeerUnavailable as reason:
        raise Unavailable(str(reason)) from None
    values = tuple(inputs[t.name] for t in operation.inputs)

    def call() -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            return peer.function(*values)

    return Mode("as translated", call, tuple)


def _products(operation: Contraction, inputs: Inputs) -> list[Mode]:
    a, b = inputs["A"], inputs["B"]
    out = np.empty(operation.results[0].shape, np.float32)
    subscripts = operation.subscripts
    path = np.einsum_path(subscripts, a, b, optimize="optimal")[0]
    calls: dict[str, Callable[[], Any]] = {
        "einsum": lambda: np.einsum(subscripts, a, b, out=out, optimize=path)
    }
    layout = VIEWS.get(subscripts.replace("z", ""))
    if layout:
        left = a.swapaxes(-1, -2) if layout[0] == "t" else a
        right = b.swapaxes(-1, -2) if layout[1] == "t" else b
        calls["matmul, out="] = lambda: np.matmul(left, right, out=out)
    return [Mode(name, call) for name, call in calls.items()]
