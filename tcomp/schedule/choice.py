"""The decisions that a nest is made from, typed. A `Trace` stores them as named integers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReduceChoice:
    """How one reduction runs.

    `vector` is the iterator of the reduction along which lanes accumulate, or -1: one accumulator a
    point. The `merged` iterators before it run through one flat range together with it. `chains`
    independent accumulators hide the latency of the combining operation. The `unrolled` innermost
    iterators have no loop. Without lanes of its own, a reduction takes `steps` terms for each
    accumulator at a time, which may come from one square of memory (`schedule.transpose`).
    """

    vector: int = -1
    lanes: int = 1
    chains: int = 1
    unrolled: int = 0
    steps: int = 1
    merged: int = 0


@dataclass(frozen=True, slots=True)
class MemberChoice:
    """How one definition's own loops run.

    `order` lists its iterators from outermost to innermost, those shared by the group left out.
    `vector` is the iterator of the lanes, or -1. `tile` gives for each iterator of the definition how
    many points (vectors along `vector`) are computed side by side. The `merged` iterators before the
    last one, which is `vector`, run through one flat range together with it. The `parallel` outermost
    loops are one parallel loop whose chunks have at least `grain` iterations. With `interior` 1, tiles
    whose guarded reads are all inside have code of their own without guards.
    """

    order: tuple[int, ...]
    vector: int = -1
    lanes: int = 1
    tile: tuple[int, ...] = ()
    parallel: int = 0
    grain: int = 1
    reductions: tuple[ReduceChoice, ...] = ()
    merged: int = 0
    interior: int = 0


@dataclass(frozen=True, slots=True)
class GroupChoice:
    """How a group runs: its shared loops as those of a member, then each member."""

    members: tuple[MemberChoice, ...]
    vector: int = -1
    lanes: int = 1
    tile: int = 1
    parallel: int = 0
    grain: int = 1
