"""Whole programs: every part gets what it would get alone, equal parts are searched once, logs of them replay."""

from __future__ import annotations

from itertools import count

import pytest

from tcomp.passes.derivation import Derivation, call_cost, derive, derive_whole, least_cost
from tests.derivation.forms import rules_of
from tests.unit.programs import written


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


def stack(layers: int, channels: int, size: int) -> str:
    """Convolutions of 3 x 3 with relu."""
    weights = ", ".join(f"F{n}: f32[{channels}, {channels}, 3, 3]" for n in range(layers))
    image = f"f32[1, {channels}, {size}, {size}]"
    text = f"def f(R: {image}, {weights}) -> R{layers}: {image}:\n"
    for n in range(layers):
        text += (
            f"    A{n} = conv2d[pad=1]({f'R{n}' if n else 'R'}, F{n})\n    R{n + 1} = relu(A{n})\n"
        )
    return text


@pytest.mark.parametrize("layers", [2, 16])
def test_equal_layers_are_searched_once(layers: int) -> None:
    names = " ".join(f"F{n}" for n in range(layers))
    one = whole(stack(1, 64, 28), constants="F0")
    found = whole(stack(layers, 64, 28), constants=names)
    assert "Winograd F(2, 3)" in rules_of(one)
    assert found.states == one.states
    assert len(found.parts) == layers and len(found.steps) == layers * len(one.steps)
