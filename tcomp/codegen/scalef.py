"""`ldexp` as AVX-512's scalef: x * 2**n in one instruction, overflow and denormal results included.

On exp of f32 it replaces seven instructions of twenty-three.
"""

from __future__ import annotations

from tcomp.codegen.ssa import FunctionBuilder, Ssa
from tcomp.ir.dtypes import DType
from tcomp.target import Target

CURRENT_ROUNDING = 4


def has_scalef(target: Target, dtype: DType, lanes: int) -> bool:
    """Whether one register of `lanes` elements has the instruction."""
    width = dtype.bits * lanes
    if lanes == 1 or not target.triple.startswith("x86_64"):
        return False
    return target.has("avx512f") and (
        width == 512 or (width in (128, 256) and target.has("avx512vl"))
    )


def emit_scalef(builder: FunctionBuilder, dtype: DType, lanes: int, args: list[Ssa]) -> Ssa:
    width = dtype.bits * lanes
    name = f"llvm.x86.avx512.mask.scalef.{'ps' if dtype.bits == 32 else 'pd'}.{width}"
    type_ = args[0].type
    mask = Ssa("-1", f"i{max(8, lanes)}")
    operands = [*args, Ssa("zeroinitializer", type_), mask]
    if width == 512:
        operands.append(Ssa(str(CURRENT_ROUNDING), "i32"))
    return builder.call_exact(name, type_, operands)
