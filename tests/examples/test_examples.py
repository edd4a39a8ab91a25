"""Every program of examples/ beside its plain NumPy or SciPy reference, interpreted, compiled, and as NumPy code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from references import CASES

from tcomp.cli.options import ProgramOptions
from tcomp.cli.program import prepare
from tcomp.interop.numpy_peer import translate
from tcomp.ir.tensor.interpreter import interpret

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def prepared(name):
    sizes = CASES[name].sizes
    file = EXAMPLES / f"{name}.tc"
    return prepare(ProgramOptions(file, None, sizes, {}, 2, "native", "standard", None))


def drawn(case):
    return case.draw(7)


def agree(name, got, wanted):
    tolerance = CASES[name].tolerance
    assert len(got) == len(wanted)
    for ours, theirs in zip(got, wanted, strict=True):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.shape == theirs.shape
        assert np.isfinite(theirs).all()
        if theirs.dtype.kind in "iub":
            np.testing.assert_array_equal(ours, theirs)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def test_every_example_has_a_reference():
    assert {p.stem for p in EXAMPLES.glob("*.tc")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_default_sizes_are_complete(name):
    text = (EXAMPLES / f"{name}.tc").read_text()
    assert re.match(r"# \S", text), "the first line says what the program is"
    file = EXAMPLES / f"{name}.tc"
    prepare(ProgramOptions(file, None, {}, {}, None, "native", "standard", None))


@pytest.mark.parametrize("name", CASES)
def test_interpreter(name):
    case = prepared(name)
    arrays = drawn(case)
    agree(name, interpret(case.program, arrays), CASES[name].reference(*arrays.values()))


@pytest.mark.parametrize("name", CASES)
def test_compiled(name):
    case = prepared(name)
    arrays = drawn(case)
    results = case.compile()(*arrays.values())
    results = results if isinstance(results, tuple) else (results,)
    agree(name, results, CASES[name].reference(*arrays.values()))


@pytest.mark.parametrize("name", CASES)
def test_numpy_peer(name):
    case = prepared(name)
    arrays = drawn(case)
    with np.errstate(all="ignore"):
        results = translate(case.program).function(*arrays.values())
    agree(name, results, CASES[name].reference(*arrays.values()))


def test_the_trained_network_reads_the_held_out_digits():
    import tcomp

    data = np.load(EXAMPLES / "digits.npz")
    weights = {name: data[name] for name in ("F1", "b1", "F2", "b2", "W", "b")}
    classify = tcomp.compile(EXAMPLES / "digits.tc", constants=weights)
    logits, label = classify(data["images"])
    wanted_logits, wanted = CASES["digits"].reference(data["images"], *weights.values())
    np.testing.assert_array_equal(label, wanted)
    assert np.abs(logits - wanted_logits).max() <= 1e-5 * np.abs(wanted_logits).max()
    assert (label == data["labels"]).mean() >= 0.97
    assert (EXAMPLES / "digits.npz").stat().st_size < 300_000
