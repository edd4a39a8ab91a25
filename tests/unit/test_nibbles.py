"""Packed 4-bit arrays against ml_dtypes and plain arithmetic."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tcomp.ir.nibbles import pack_nibbles, unpack_nibbles


@pytest.mark.parametrize("shape", [(8,), (7,), (1,), (0,), (3, 5), (2, 3, 4), (2, 0), ()])
@pytest.mark.parametrize("signed", [True, False])
def test_packing_and_back(shape: tuple[int, ...], signed: bool) -> None:
    low, high = (-8, 8) if signed else (0, 16)
    values = np.random.default_rng(1).integers(low, high, shape)
    for given in (values, values.astype(ml_dtypes.int4 if signed else ml_dtypes.uint4)):
        packed = pack_nibbles(np.asarray(given))
        assert packed.dtype == np.uint8
        assert packed.shape == ((*shape[:-1], (shape[-1] + 1) // 2) if shape else ())
        length = shape[-1] if shape else 1
        back = unpack_nibbles(packed, length, signed)
        assert back.dtype == (np.int8 if signed else np.uint8)
        np.testing.assert_array_equal(back, values)


def test_the_low_nibble_is_first() -> None:
    assert pack_nibbles(np.array([1, 2, -1])).tolist() == [0x21, 0x0F]
