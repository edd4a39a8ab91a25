"""The same accuracy on processors with fewer instructions than this one, without FMA included."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from tcomp.codegen.emit import emit
from tcomp.codegen.llvm import assembly
from tcomp.codegen.named import target_named
from tcomp.ir.dtypes import DType, f32, f64
from tests.numerics.math_kernels import apply, module
from tests.numerics.math_reference import argument_samples, true_value, ulp_error

FLOATS = [f32, f64]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="runs x86-64 code")
@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["exp", "expm1", "log2", "sin", "tan", "pow", "tanh", "gelu_tanh"])
def test_error_on_older_processors(name: str, dtype: DType, target: str) -> None:
    args = argument_samples(name, dtype.numpy, 6000, seed=3)
    processor = target_named(target)
    sources = (dtype,) * len(args)
    for accuracy, bound in (("standard", 4.0), ("strict", 1.0 if dtype is f32 else 2.6)):
        result = apply(
            name, *args, sources=sources, result=dtype, accuracy=accuracy, target=processor
        )
        assert ulp_error(result, true_value(name, *args)).max() <= bound


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="runs x86-64 code")
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_remainder_without_fma(dtype: DType) -> None:
    a, b = argument_samples("atan2", dtype.numpy, 4000)
    sources, old = (dtype, dtype), target_named("x86-64-v2")
    result = apply("mod", a, b, sources=sources, result=dtype, target=old)
    assert np.array_equal(result, apply("mod", a, b, sources=sources, result=dtype), equal_nan=True)


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v4", "aarch64", "wasm32"])
def test_nothing_is_left_to_a_library(target: str) -> None:
    """Whatever LLVM turns into a call would need libm or a compiler's support library."""
    processor = target_named(target)
    for dtype in FLOATS:
        for name in ("exp", "pow", "sin", "floordiv", "atan2", "gelu", "round"):
            arity = 2 if name in ("pow", "floordiv", "atan2") else 1
            code = module(name, (dtype,) * arity, dtype, (None,) * arity, "strict", 4)
            text = assembly(emit(code, processor).text, processor)
            for symbol in ("fma", "fmod", "exp", "pow", "sin", "floor", "roundeven", "rint"):
                assert f"\t{symbol}\n" not in text and f" {symbol}@" not in text
                assert f" {symbol}f\n" not in text and f" {symbol}\n" not in text
