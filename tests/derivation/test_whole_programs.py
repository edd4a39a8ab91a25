"""Whole programs: every part gets what it would get alone, equal parts are searched once, logs of them replay."""

from __future__ import annotations

from itertools import count
from math import prod

import numpy as np
import pytest

from tcomp.ir.integer import FloorDiv, Mod
from tcomp.ir.tensor.canonical import fingerprint
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Read, postorder
from tcomp.passes import split_constants
from tcomp.passes.derivation import Derivation, call_cost, derive, derive_whole, least_cost
from tcomp.passes.derivation.partition import partition
from tcomp.passes.derivation.proof import ProofError, holds, replay, to_log
from tests.derivation.forms import positions, residues_as_batch, rules_of
from tests.unit.programs import random_inputs, written


def whole(
    text: str, programs: int = 30, *, constants: str = "", accuracy: str = "standard"
) -> Derivation:
    """The derivation in parts, each of at most so many programs."""
    return derive_whole(
        written(text),
        accuracy,
        search=lambda part, known, share: derive(
            part,
            seconds=share,
            cost=lambda p: call_cost(p, known),
            promise=lambda p: least_cost(p, known),
            reassociate_floats=accuracy != "strict",
            clock=count().__next__,
        ),
        cost=call_cost,
        seconds=programs,
        constants=frozenset(constants.split()),
    )


def layers(*shapes: tuple[int, int, int], size: int, dilation: int = 1) -> str:
    """Convolutions from so many channels to so many, with so many taps in each direction, and relu between."""
    weights = ", ".join(f"F{n}: f32[{o}, {c}, {k}, {k}]" for n, (c, o, k) in enumerate(shapes))
    first, last = shapes[0][0], shapes[-1][1]
    text = (
        f"def f(R: f32[1, {first}, {size}, {size}], {weights})"
        f" -> R{len(shapes)}: f32[1, {last}, {size}, {size}]:\n"
    )
    for n, (_, _, k) in enumerate(shapes):
        options = f"pad={dilation * (k // 2)}, dilation={dilation}"
        text += f"    A{n} = conv2d[{options}]({f'R{n}' if n else 'R'}, F{n})\n"
        text += f"    R{n + 1} = relu(A{n})\n"
    return text


def filters(count_of: int) -> str:
    return " ".join(f"F{n}" for n in range(count_of))


RESIDUAL = """
def f(X: f32[1, 64, 14, 14], F: f32[64, 64, 3, 3], G: f32[64, 64, 3, 3], s: f32[64], t: f32[64])
        -> Y: f32[1, 64, 14, 14]:
    A = conv2d[pad=1](X, F)
    R[n, o, y, x] = relu(A[n, o, y, x] * s[o] + t[o])
    B = conv2d[pad=1](R, G)
    Y[n, o, y, x] = relu(B[n, o, y, x] + X[n, o, y, x])
""".strip().replace(")\n        ->", ") ->")

BLOCK = """
def f(X: f32[24, 32], Q: f32[32, 4, 8], K: f32[32, 4, 8], V: f32[32, 4, 8], P: f32[4, 8, 32],
      U: f32[32, 64], W: f32[64, 32], gain: f32[32], scale: f32[32]) -> Y: f32[24, 32]:
    m[s in 0:24] = sum[c in 0:32](X[s, c]) / 32.0
    v[s in 0:24] = sum[c in 0:32]((X[s, c] - m[s]) * (X[s, c] - m[s])) / 32.0
    N[s in 0:24, c in 0:32] = (X[s, c] - m[s]) / sqrt(v[s] + 0.001) * gain[c]
    q[h in 0:4, s in 0:24, d in 0:8] = sum[c in 0:32](N[s, c] * Q[c, h, d])
    k[h in 0:4, s in 0:24, d in 0:8] = sum[c in 0:32](N[s, c] * K[c, h, d])
    w[h in 0:4, s in 0:24, d in 0:8] = sum[c in 0:32](N[s, c] * V[c, h, d])
    L[h in 0:4, s in 0:24, t in 0:24] = sum[d in 0:8](q[h, s, d] * k[h, t, d]) * 0.35
    M[h in 0:4, s in 0:24] = max[t in 0:24](L[h, s, t])
    E[h in 0:4, s in 0:24, t in 0:24] = exp(L[h, s, t] - M[h, s])
    z[h in 0:4, s in 0:24] = sum[t in 0:24](E[h, s, t])
    O[h in 0:4, s in 0:24, d in 0:8] = sum[t in 0:24](E[h, s, t] / z[h, s] * w[h, t, d])
    R[s in 0:24, c in 0:32] = sum[h in 0:4, d in 0:8](O[h, s, d] * P[h, d, c]) + X[s, c]
    b[s in 0:24] = sum[c in 0:32](R[s, c] * R[s, c]) / 32.0
    G[s in 0:24, f in 0:64] = gelu(sum[c in 0:32](R[s, c] / sqrt(b[s] + 0.001) * scale[c] * U[c, f]))
    Y[s, c] = sum[f in 0:64](G[s, f] * W[f, c]) + R[s, c]
""".strip().replace(",\n      ", ", ")

NAMES = """
def f(A: f32[64, 512], V: f32[512, 512], W: f32[512, 512], P: f32[512, 512], Q: f32[512, 512]) -> Y: f32[64, 512]:
    H[i, j] = sum[k](A[i, k] * V[k, j])
    R[i, p] = relu(sum[j](H[i, j] * W[j, p]))
    middle[row, column] = sum[inner](R[row, inner] * P[inner, column])
    Y[row, c] = relu(sum[column](middle[row, column] * Q[column, c]))
""".strip()

DIAMOND = """
def f(X: f32[48, 64], V: f32[64, 64], W: f32[64, 64], U: f32[64, 64]) -> (Y: f32[48, 64], H: f32[48, 64]):
    H[i, j] = relu(sum[k](X[i, k] * V[k, j]))
    A[i, j] = tanh(sum[k](H[i, k] * W[k, j]))
    B[i, j] = sigmoid(sum[k](H[i, k] * U[k, j]))
    Y[i, j] = A[i, j] * B[i, j] + H[i, j]
""".strip()


def checked(found: Derivation) -> None:
    """The derived program gives what the source does, its log replays and proves it."""
    arrays = random_inputs(found.source)
    for tensor in found.source.inputs:
        if tensor.rank > 1:  # results of about 1 in all layers
            arrays[tensor.name] /= prod(arrays[tensor.name].shape[1:]) ** 0.5
    for a, b in zip(interpret(found.source, arrays), interpret(found.program, arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7 * np.abs(a).max())
    log = to_log(found)
    assert not found.steps or fingerprint(replay(found.source, log)) == fingerprint(found.program)
    assert holds(found.source, log)[1]


@pytest.mark.parametrize("depth", [2, 16])
def test_equal_layers_are_searched_once(depth: int) -> None:
    one = whole(layers((64, 64, 3), size=28), constants="F0")
    found = whole(layers(*[(64, 64, 3)] * depth, size=28), constants=filters(depth))
    assert "Winograd F(2, 3)" in rules_of(one)
    assert found.states == one.states
    assert len(found.parts) == depth and len(found.steps) == depth * len(one.steps)
    ratios = {each.derivation.accuracy.ratio for each in found.parts if each.derivation.accuracy}
    assert found.accuracy is not None and ratios == {found.accuracy.ratio}


def test_different_layers_get_what_each_gets_alone() -> None:
    shapes = ((48, 64, 3), (64, 64, 1), (64, 48, 3))
    found = whole(layers(*shapes, size=14), constants=filters(3))
    alone = [whole(layers(shape, size=14), constants="F0") for shape in shapes]
    assert [[s.rule for s in each.derivation.steps] for each in found.parts] == [
        [s.rule for s in each.steps] for each in alone
    ]
    assert found.states == sum(each.states for each in alone)
    assert found.cost_after < found.cost_before
    checked(found)


def test_both_layers_of_a_residual_block() -> None:
    found = whole(RESIDUAL, 60, constants="F G s t")
    assert len(found.parts) == 2
    for part in found.parts:
        assert "Winograd F(2, 3)" in {s.rule for s in part.derivation.steps}
    checked(found)


def test_parts_that_are_equal_but_for_names_share_what_was_found() -> None:
    found = whole(NAMES, constants="V W P Q")
    first, second = found.parts
    assert second.alike == first.alike == 0
    assert [s.rule for s in second.derivation.steps] == [s.rule for s in first.derivation.steps]
    assert {s.tensor for s in second.derivation.steps} <= {"middle", "Y"}
    # (A V) W is A (V W), which is computed once
    called = split_constants(found.program, frozenset("VWPQ"))[1]
    assert len(list(called.definitions())) == 2
    checked(found)


def test_shared_producers_and_several_results() -> None:
    source = written(DIAMOND)
    parts = partition(source)
    made = [t for part in parts for t in part.program.results]
    assert len(made) == len(set(made)) and set(source.results) <= set(made)
    for number, part in enumerate(parts):  # each behind what it reads
        before = {t for p in parts[:number] for t in p.program.results} | {*source.inputs}
        assert before.issuperset(part.program.inputs)
    checked(whole(DIAMOND, constants="V W U"))


def test_a_transformer_block() -> None:
    found = whole(BLOCK, 40, constants="Q K V P U W gain scale")
    ends = [[t.name for t in each.part.program.results] for each in found.parts]
    assert ends == [["R"], ["G"], ["Y"]]  # attention is not cut: rules look through its functions
    checked(found)


@pytest.mark.parametrize(("depth", "channels", "size"), [(2, 512, 14), (4, 64, 12), (3, 64, 15)])
def test_rearrangements_between_dilated_layers_cancel(depth: int, channels: int, size: int) -> None:
    text = layers(*[(channels, channels, 3)] * depth, size=size, dilation=2)
    found = whole(text, 60, constants=filters(depth))
    assert len(found.parts) == depth and len({p.alike for p in found.parts}) == 1
    assert residues_as_batch(2, 2)(found.program) >= depth
    called = split_constants(found.program, frozenset(filters(depth).split()))[1]
    strided = {
        n.tensor
        for d in called.definitions()
        for n in postorder(d.body)
        if isinstance(n, Read)
        and any(i.coefficient(a) == 2 for i in n.index[2:] for a in i.leaves())
    }
    image = found.source.inputs[0]
    assert image in strided  # the first rearrangement
    last = [d for d in called.definitions() if d.tensor in called.results]
    assert any(isinstance(a, Mod) for d in last for i in positions(d.body) for a in i.atoms())
    for definition in called.definitions():  # and none between
        for node in postorder(definition.body):
            if isinstance(node, Read) and definition not in last:
                residues = [a for i in node.index for a in i.atoms() if isinstance(a, Mod)]
                quotients = [a for i in node.index for a in i.atoms() if isinstance(a, FloorDiv)]
                assert len(residues) == len(quotients) in (0, 2)  # of tiles only
                assert not residues or node.tensor.name.endswith("tiles")
    if channels < 512:
        checked(found)


def test_a_log_that_was_changed_fails() -> None:
    found = whole(NAMES, constants="V W P Q")
    log = to_log(found)
    changes = (
        {"result": "0" * 64},
        {"steps": [{**s, "part": 7} for s in log["steps"]]},
        {"steps": log["steps"][1:]},
    )
    for change in changes:
        with pytest.raises(ProofError):
            replay(found.source, log | change)


def test_no_step_changes_a_rounding_in_the_strict_class() -> None:
    found = whole(layers((64, 64, 3), (64, 64, 3), size=28), constants="F0 F1", accuracy="strict")
    assert found.accuracy is None and not any("Winograd" in s.rule for s in found.steps)
