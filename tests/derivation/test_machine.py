"""Estimates follow the machine that is handed in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tcomp import memory_speed
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.nodes import Program
from tcomp.lang import lower, parse
from tcomp.options import options_from
from tcomp.passes.derivation import arithmetic_cost, call_cost
from tcomp.passes.derivation.machine import AVX512, Machine
from tcomp.pipeline import derived, machine_of

PRODUCT = """
def f(A: f32[96, 96], B: f32[96, 96]) -> C: f32[96, 96]:
    C[i, j] = sum[k](A[i, k] * B[k, j])
"""
COPY = """
def f(A: f32[3000, 3000]) -> B: f32[3000, 3000]:
    B[i, j] = A[i, j] + 1
"""


def program(text: str) -> Program:
    return bind(lower(parse(text)), {})


def cost(text: str, machine: Machine) -> float:
    return call_cost(program(text), frozenset(), machine)


def test_the_default_is_what_estimates_were_fitted_to() -> None:
    for text in (PRODUCT, COPY):
        assert cost(text, AVX512) == arithmetic_cost(program(text))


def test_narrow_vectors_and_slow_memory_cost_more() -> None:
    assert cost(PRODUCT, replace(AVX512, vector_bytes=16)) > 3 * cost(PRODUCT, AVX512)
    assert (AVX512.rows, replace(AVX512, registers=16).rows) == (14, 6)
    assert cost(COPY, replace(AVX512, far_rate=1.0)) > 3 * cost(COPY, AVX512)
    assert cost(COPY, replace(AVX512, shared=1 << 28)) < cost(COPY, AVX512)


def test_a_small_shared_cache_speaks_against_transformed_filters() -> None:
    """F(2, 3) reads 16 numbers for each 9 of a filter: 4.7 MB that lie in the cache, or do not."""
    text = """
def f(I: f32[1, 256, 14, 14], F: f32[256, 256, 3, 3]) -> Y: f32[1, 256, 14, 14]:
    Y[n, o, y, x] = sum[c, r, s]((I[n, c, y + r - 1, x + s - 1] else 0) * F[o, c, r, s])
"""
    rules = [
        [s.rule for s in derived(program(text), "standard", frozenset("F"), machine=m).steps]
        for m in (AVX512, replace(AVX512, near=1 << 18, shared=1 << 20, far_rate=0.5))
    ]
    assert rules[0] == ["Winograd F(2, 3)"]
    assert rules[1] == []


def test_the_machine_is_that_of_the_target() -> None:
    wide, narrow = (
        machine_of(options_from(target=name, threads=2)) for name in ("icelake-server", "x86-64-v2")
    )
    assert (wide.vector_bytes, wide.registers, wide.products) == (64, 32, 2.0)
    assert (narrow.vector_bytes, narrow.registers, narrow.products) == (16, 16, 1.0)
    assert wide.near == 2 * 1280 << 10
    assert machine_of(options_from(target="icelake-server", threads=8)).near == 4 * wide.near


@pytest.mark.parametrize(("share", "times"), [(1.0, 1.0), (1.3, 1.0), (0.25, 0.25)])
def test_measured_rates_count_in_doublings(
    share: float, times: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tcomp.runtime.processor import native_target
    from tcomp.runtime.threads import default_threads

    threads = default_threads()
    speed = {"peak_gflops_1": 4.0 * native_target().lanes(32)}  # at 1 GHz
    speed |= {f"{n}_gbytes_{threads}": r * threads for n, r in memory_speed._FITTED.items()}
    speed[f"memory_gbytes_{threads}"] *= share
    file = tmp_path / "machine.json"
    identity = memory_speed.identity(native_target(), threads)
    file.write_text(json.dumps({"identity": identity, "speed": speed}))
    monkeypatch.setattr(memory_speed, "path", lambda: file)
    assert memory_speed.relative_rates(options_from()) == (1.0, 1.0, times)
    assert machine_of(options_from()).far_rate == AVX512.far_rate * times


def test_what_is_no_measurement_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, text in enumerate(("", "[]", '{"identity": 3}', '{"speed": {"l2": "fast"}}')):
        file = tmp_path / f"{number}.json"
        file.write_text(text)
        monkeypatch.setattr(memory_speed, "path", lambda file=file: file)
        assert memory_speed.relative_rates(options_from()) == (1.0, 1.0, 1.0)
