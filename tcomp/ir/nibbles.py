"""Packed 4-bit arrays: two elements to a byte along the last axis, the low nibble first."""

from __future__ import annotations

from typing import Any

import numpy as np


def pack_nibbles(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """uint8[..., (K+1)//2] from any integer array [..., K] (ml_dtypes int4/uint4 included).

    The high nibble of the last byte is 0 where K is odd. A scalar takes the low nibble of a byte.
    """
    nibbles: np.ndarray[Any, Any] = np.asarray(values.astype(np.int8) & 15).astype(np.uint8)
    if not nibbles.ndim:
        return nibbles
    if nibbles.shape[-1] % 2:
        nibbles = np.concatenate([nibbles, np.zeros_like(nibbles[..., :1])], axis=-1)
    packed: np.ndarray[Any, Any] = nibbles[..., 0::2] | (nibbles[..., 1::2] << 4)
    return packed


def packed_in_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array of 4-bit elements packed, any other one as it is."""
    return pack_nibbles(array) if array.dtype.name in ("int4", "uint4") else array


def unpack_nibbles(packed: np.ndarray[Any, Any], length: int, signed: bool) -> np.ndarray[Any, Any]:
    """int8 or uint8 [..., length] from uint8[..., (length+1)//2]; a scalar from a byte."""
    nibbles: np.ndarray[Any, Any] = np.asarray(packed & 15)
    if packed.ndim:
        shape = (*packed.shape[:-1], 2 * packed.shape[-1])
        nibbles = np.stack([packed & 15, packed >> 4], axis=-1).reshape(shape)[..., :length]
    if not signed:
        return nibbles
    return ((nibbles.astype(np.int8) ^ 8) - 8).astype(np.int8)
