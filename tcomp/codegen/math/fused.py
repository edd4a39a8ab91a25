"""`exact_fma` for processors without a fused multiply-add.

f32: the product is exact in f64; the sum is rounded there and again to f32. f64: Dekker's product by
Veltkamp's splitting, Knuth's sum. Where the result is a number of the type (as in error-free
transformations) it is found exactly, else it is within half a unit in the last place and a trifle.
"""

from __future__ import annotations

from tcomp.codegen.math.double_word import two_sum
from tcomp.codegen.math.lanes import Lanes, where
from tcomp.ir.dtypes import f32, f64
from tcomp.ir.loop.nodes import Expr, Op, rewrite

SPLITTER = 2.0**27 + 1
LARGE, SHRINK = 2.0**960, 2.0**-64  # splitting multiplies by 2**27


def without_fma(expr: Expr) -> Expr:
    """The expression with every `exact_fma` written out."""

    def rule(node: Expr) -> Expr | None:
        if not (isinstance(node, Op) and node.op == "exact_fma"):
            return None
        a, b, c = (Lanes(x) for x in node.args)
        if node.dtype is f32:
            return (a.to(f64) * b.to(f64) + c.to(f64)).to(f32).expr
        return _long_way(a, b, c).expr

    return rewrite(expr, rule)


def _long_way(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    a_large, b_large = abs(a) > LARGE, abs(b) > LARGE
    a_scale, b_scale = (
        where(a_large, a.constant(SHRINK), 1.0),
        where(b_large, a.constant(SHRINK), 1.0),
    )
    product, error = _product(a * a_scale, b * b_scale)
    total, lost = two_sum(product, c * a_scale * b_scale)
    result = (total + (lost + error)) * where(a_large, a.constant(1 / SHRINK), 1.0)
    result = result * where(b_large, a.constant(1 / SHRINK), 1.0)
    plain = a * b + c
    # Scaling would lose a tiny c beside no product at all.
    return where((abs(plain) < float("inf")) & product.differs(0.0), result, plain)


def _product(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error


def _halves(a: Lanes) -> tuple[Lanes, Lanes]:
    """a in two parts of 26 bits."""
    scaled = a * SPLITTER
    high = scaled - (scaled - a)
    return high, a - high
