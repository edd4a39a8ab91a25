"""Values of loop expressions that depend on nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from tcomp.ir.dtypes import i64
from tcomp.ir.loop.conversion import bitcast, convert
from tcomp.ir.loop.nodes import Const, Expr, IntValue, Op, postorder
from tcomp.ops import OPS


def constant_value(expr: Expr) -> Any:
    """The number that a scalar expression of literals is, None where it depends on more."""
    done: dict[Expr, Any] = {}
    for node in postorder(expr):
        match node:
            case Const(value, dtype, 1):
                done[node] = np.full(1, value, dtype.numpy)
            case IntValue(base, dtype, 1, _) if base.is_constant:
                done[node] = convert(np.full(1, int(base)), i64, dtype)
            case Op(op, args, dtype):
                values = [done[a] for a in args]
                if op == "cast":
                    done[node] = convert(values[0], args[0].dtype, dtype)
                elif op == "bitcast":
                    done[node] = bitcast(values[0], dtype)
                else:
                    found = OPS[op].numpy(*values)
                    done[node] = np.asarray(found).astype(dtype.numpy, copy=False)
            case _:
                return None
    return done[expr][0]
