"""Attention written plainly: what it comes to in one pass over blocks of positions, and in how much memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tcomp
from tcomp.ir.dtypes import dtype
from tcomp.ir.tensor.nodes import Program
from tcomp.options import options_from
from tcomp.passes.derivation import online
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.verification import verify_equal
from tcomp.pipeline import Stages, build_as_written
from tcomp.specialise import kernel_from

PLAIN = """
def attention(Q: {t}[H, S, D], K: {t}[H, T, D], V: {t}[H, T, D]) -> O: {o}[H, S, D]:
    L[h, s, t] = where({mask}, sum[d](Q[h, s, d] * K[h, t, d]) * (D ** -0.5), -inf)
    m[h, s] = max[t](L[h, s, t])
    E[h, s, t] = exp(L[h, s, t] - m[h, s])
    Z[h, s] = sum[t](E[h, s, t])
    O[h, s, d] = sum[t](E[h, s, t] * V[h, t, d]) / Z[h, s]
"""
MASKS = {
    "all": "t >= 0",
    "causal": "t <= s + (T - S)",
    "window": "t <= s + (T - S) and t + 30 > s + (T - S)",
    "future": "t >= s",
    "nothing for some": "t <= s - 20",
}


def seen(mask: str, rows: int, positions: int) -> Any:
    s, t = np.arange(rows)[:, None], np.arange(positions)
    shift = positions - rows
    return {
        "all": t >= 0 * s,
        "causal": t <= s + shift,
        "window": (t <= s + shift) & (t + 30 > s + shift),
        "future": t >= s,
        "nothing for some": t <= s - 20,
    }[mask]


def reference(q: Any, k: Any, v: Any, mask: str) -> Any:
    q, k, v = (np.asarray(a, np.float64) for a in (q, k, v))
    logits = np.einsum("hsd,htd->hst", q, k) * q.shape[-1] ** -0.5
    logits = np.where(seen(mask, *logits.shape[1:]), logits, -np.inf)
    with np.errstate(invalid="ignore"):
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        return np.einsum("hst,htd->hsd", weights / weights.sum(-1, keepdims=True), v)


def arrays(heads: int, rows: int, positions: int, channels: int, scale: float = 1.0) -> list[Any]:
    rng = np.random.default_rng(rows * positions)
    shapes = (heads, rows, channels), (heads, positions, channels), (heads, positions, channels)
    q, k, v = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    return [q * scale, k, v]


def source(mask: str, element: str = "f32", result: str = "f32", **sizes: int) -> Program:
    text = PLAIN.format(t=element, o=result, mask=MASKS[mask])
    return tcomp.compile(text, sizes=sizes, accuracy="strict").stages().program


def in_one_pass(program: Program, threads: int) -> Stages:
    ((_, derived),) = online.one_pass(normal_form(program))
    stages = build_as_written(normal_form(derived), options_from(threads=threads, tune="off"))
    assert any(part.step is not None for group in stages.plan.groups for part in group.parts)
    return stages


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("block", [16, 128])
@pytest.mark.parametrize(
    ("heads", "rows", "positions", "channels"),
    [(2, 64, 64, 32), (3, 37, 197, 16), (1, 131, 130, 5), (2, 16, 331, 64)],
)
def test_masks_and_odd_sizes(
    mask: str,
    block: int,
    heads: int,
    rows: int,
    positions: int,
    channels: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(online, "BLOCK", block)
    program = source(mask, H=heads, S=rows, T=positions, D=channels)
    inputs = arrays(heads, rows, positions, channels)
    want = reference(*inputs, mask)
    options = options_from(threads=2, tune="off")
    ((_, derived),) = online.one_pass(normal_form(program))
    stages = build_as_written(normal_form(derived), options)
    got = kernel_from(stages, options)(*inputs)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_large_logits(threads: int) -> None:
    inputs = arrays(2, 40, 300, 64, scale=1e4)
    stages = in_one_pass(source("causal", H=2, S=40, T=300, D=64), threads)
    got = kernel_from(stages, options_from(threads=threads))(*inputs)
    np.testing.assert_allclose(got, reference(*inputs, "causal"), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("element", "error"), [("f16", 4e-3), ("bf16", 3e-2), ("f64", 1e-12)])
def test_element_types(element: str, error: float) -> None:
    inputs = [np.asarray(a, dtype(element).numpy) for a in arrays(2, 48, 300, 32)]
    program = source("causal", element, element, H=2, S=48, T=300, D=32)
    got = kernel_from(in_one_pass(program, 2), options_from(threads=2))(*inputs)
    got, want = np.asarray(got, np.float64), reference(*inputs, "causal")
    np.testing.assert_allclose(got, want, rtol=error, atol=error)


def test_results_do_not_depend_on_threads() -> None:
    inputs = arrays(3, 90, 400, 64)
    program = source("causal", H=3, S=90, T=400, D=64)
    kernels = [kernel_from(in_one_pass(program, n), options_from(threads=n)) for n in (1, 2)]
    one, two = (kernel(*inputs) for kernel in kernels)
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mask", MASKS)
def test_equality_is_proven(mask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online, "BLOCK", 8)
    program = normal_form(source(mask, H=2, S=40, T=43, D=4))
    ((_, derived),) = online.one_pass(program)
    assert verify_equal(program, normal_form(derived)).equal


@pytest.mark.parametrize("mask", ["all", "causal"])
def test_memory_does_not_grow_with_rows_times_positions(mask: str) -> None:
    """Whatever form is chosen: 3 * 2 * length² elements would be 25 to 400 MB."""
    text = PLAIN.format(t="f32", o="f32", mask=MASKS[mask])
    made = [
        tcomp.compile(text, sizes={"H": 3, "S": n, "T": n, "D": 64}, threads=2).stages().emitted
        for n in (1024, 2048, 4096)
    ]
    scratch = [each.shared_bytes + 2 * each.private_bytes for each in made]
    assert max(scratch) < 8 << 20  # blocks of other sizes: S * T grows 16 times
    assert scratch[-1] < 8 * scratch[0]


def test_one_pass_keeps_what_a_step_needs() -> None:
    """No part of it grows with the number of positions, but where blocks have more rows."""
    made = [in_one_pass(source("all", H=2, S=128, T=n, D=64), 2) for n in (512, 2048, 8192)]
    rows = [stages.traces[0]["size.1"] for stages in made]
    private = [stages.emitted.private_bytes / n for stages, n in zip(made, rows, strict=True)]
    assert private[0] == private[1] == private[2] and max(rows) <= 128
    assert all(stages.emitted.shared_bytes == 0 for stages in made)
