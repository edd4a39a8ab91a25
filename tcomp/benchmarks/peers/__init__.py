"""Peers: one module for each library that workloads are compared with, imported when asked for.

Each is used in the best mode that it documents; where there are several, all are tried and the quickest counts.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from tcomp.benchmarks.operations import Operation
from tcomp.benchmarks.peers.mode import Inputs, Mode, Unavailable

__all__ = ["NAMES", "Inputs", "Mode", "Peer", "Unavailable", "peer"]

NAMES = ("numpy", "torch", "torch_compile", "onnxruntime", "openvino", "jax", "as_written")


class Peer(Protocol):
    """What a module of this package offers."""

    def version(self) -> str:
        """Of the library. Raises ImportError where it is not installed."""

    def modes(self, operation: Operation, inputs: Inputs, threads: int) -> list[Mode]:
        """Ways to compute the operation on these inputs. Raises Unavailable where there are none."""


def peer(name: str) -> Peer:
    """The adapter called `name`, one of NAMES."""
    return cast(Peer, import_module(f"tcomp.benchmarks.peers.{name}_peer"))
