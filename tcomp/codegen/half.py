"""f16 to and from f32 by integer arithmetic, for processors where LLVM would call a library."""

from __future__ import annotations

from tcomp.codegen.math import expand
from tcomp.codegen.math.lanes import Lanes, where
from tcomp.ir.dtypes import f16, f32, f64, u16, u32
from tcomp.ir.loop.nodes import Expr, Op, rewrite
from tcomp.target import Target


def converts_halves(target: Target) -> bool:
    """Whether the processor has instructions for f16 <-> f32."""
    if target.triple.startswith(("x86_64", "i686")):
        return target.has("f16c") or target.has("avx512f")
    return target.triple.startswith(("aarch64", "arm64"))


def without_halves(expr: Expr) -> Expr:
    """The primitive expression with its conversions of f16 written out."""
    return rewrite(expr, _rule)


def _rule(node: Expr) -> Expr | None:
    if not isinstance(node, Op) or node.op != "cast":
        return None
    pair = node.args[0].dtype, node.dtype
    if pair == (f32, f16):  # from f64 the general way: it rounds once, on the pattern
        wide = Op("cast", node.args, f64)
        return expand(Op("cast", (wide,), f16))
    if pair == (f16, f32):
        return _widen(Lanes(node.args[0])).expr
    if pair == (f16, f64):
        return Op("cast", (_widen(Lanes(node.args[0])).expr,), f64)
    return None


def _widen(x: Lanes) -> Lanes:
    """The exponent is corrected by a multiplication, which also normalises denormals."""
    pattern = x.bits_as(u16).to(u32)
    magnitude = pattern & 0x7FFF
    value = (magnitude << 13).bits_as(f32) * 2.0**112
    special = (magnitude << 13) | 0x7F800000  # infinity and NaN keep theirs
    bits = where(magnitude >= 0x7C00, special, value.bits)
    return (bits | ((pattern & 0x8000) << 16)).bits_as(f32)
