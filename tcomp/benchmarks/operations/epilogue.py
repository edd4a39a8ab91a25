"""What follows a product at once: scale by bias, residual and activation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tcomp.benchmarks.operations.tensor import Array
from tcomp.ops.meaning import gelu

ACTIVATIONS = ("", "relu", "gelu", "relu6")


@dataclass(frozen=True, slots=True)
class Epilogue:
    """`activation(product + bias[channel] + residual)`; the activation is one of ACTIVATIONS."""

    bias: bool = False
    residual: bool = False
    activation: str = ""

    @property
    def label(self) -> str:
        parts = ("bias" * self.bias, "residual" * self.residual, self.activation)
        return "".join(f"+{p}" for p in parts if p)

    def expression(self, product: str, channel: str, axes: str) -> str:
        """The right side in the language, for an element of the result."""
        value = product
        if self.bias:
            value += f" + b[{channel}]"
        if self.residual:
            value += f" + R[{axes}]"
        if self.activation == "relu6":
            return f"clip({value}, 0, 6)"
        return f"{self.activation}({value})" if self.activation else value

    def apply(self, product: Array, bias: Array | None, residual: Array | None) -> Array:
        """In float64; `bias` of a shape that broadcasts."""
        value = product
        if bias is not None:
            value = value + bias
        if residual is not None:
            value = value + residual
        if self.activation == "gelu":
            value = gelu(value)
        elif self.activation:
            value = np.clip(value, 0, 6 if self.activation == "relu6" else None)
        return value


NONE = Epilogue()
