"""Suites are right by the interpreter, results are judged and summed up rightly, runs can be taken up again."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tcomp.benchmarks import inputs, measure, report, results, run, timing
from tcomp.benchmarks.operations import Contraction, ProgramText, matmul
from tcomp.benchmarks.operations.program import bound
from tcomp.benchmarks.peers import Mode, Unavailable
from tcomp.benchmarks.results import OURS, OURS_OUT, OURS_TUNED, Result, Standing
from tcomp.benchmarks.suites import NAMES, suite
from tcomp.benchmarks.workload import Suite, Workload
from tcomp.diagnostics import BindingError
from tcomp.ir.tensor.interpreter import interpret

ALL = [(name, w) for name in NAMES for w in suite(name).workloads]
IDS = [f"{name} {w.name}" for name, w in ALL]


@pytest.mark.parametrize("name", NAMES)
def test_a_suite_has_names_of_its_own_and_a_target_for_every_class(name):
    workloads = suite(name).workloads
    assert len({w.name for w in workloads}) == len(workloads)
    for w in workloads:
        assert suite(name).target(w.kind, w.accuracy) is not None, w.name


def test_the_contractions_cover_the_networks_and_classes_that_are_asked():
    workloads = suite("contractions").workloads
    assert len(workloads) >= 60
    networks = {"resnet", "mobilenet", "vgg", "csrnet", "dcgan", "fsrcnn", "unet"}
    networks |= {"bert", "gpt2", "vit", "llama", "tccg"}
    assert networks <= {w.source for w in workloads}
    accuracies = {w.accuracy for w in workloads if w.kind == "conv3x3"}
    assert accuracies == {"strict", "standard", "fast"}


@pytest.mark.parametrize(("name", "workload"), ALL, ids=IDS)
def test_a_program_has_the_shapes_that_its_workload_states(name, workload):
    operation = workload.operation
    program = bound(operation)
    for specs, tensors in (
        (operation.inputs, program.inputs),
        (operation.results, program.results),
    ):
        stated = [(t.name, t.dtype, t.shape) for t in specs]
        assert stated == [(t.name, t.dtype.name, tuple(map(int, t.shape))) for t in tensors]
    assert operation.multiply_adds > 0


NUMPY = [w for _, w in ALL if not isinstance(w.operation, ProgramText)]


@pytest.mark.parametrize("workload", NUMPY, ids=lambda w: w.name)
def test_the_reference_agrees_with_the_interpreter(workload):
    operation = workload.operation.shrunk()
    arrays = inputs.draw(operation)
    wanted = interpret(bound(operation), arrays)
    gap = inputs.difference(operation.reference(arrays), wanted)
    assert gap <= inputs.tolerance(operation)


PROGRAMS = [w for w in suite("derivations").workloads if isinstance(w.operation, ProgramText)]


@pytest.mark.parametrize("workload", PROGRAMS[::3], ids=lambda w: w.name)
def test_a_program_as_written_agrees_with_the_interpreter(workload):
    operation = workload.operation.shrunk()
    arrays = inputs.draw(operation)
    wanted = interpret(bound(operation), arrays)
    assert inputs.difference(operation.reference(arrays), wanted) <= 2e-5


SMALL = suite("contractions").chosen(
    ["u4 product 1x4", "dwconv3x3 96", "u8*i8", "convT9x9", "gelu"]
)


@pytest.mark.parametrize("library", ["torch", "onnxruntime", "openvino", "jax", "numpy"])
def test_peers_compute_what_the_workloads_say(library):
    pytest.importorskip(library)
    if library in ("onnxruntime", "openvino"):
        pytest.importorskip("onnx")
    right = 0
    for workload in SMALL:
        operation = workload.operation.shrunk()
        arrays = inputs.draw(operation)
        reference = operation.reference(arrays)
        try:
            modes = measure.peer(library).modes(operation, arrays, 1)
        except Unavailable as reason:
            assert str(reason)
            continue
        for mode in modes:
            gap = inputs.difference(mode.arrays(mode.call()), reference)
            assert gap <= inputs.tolerance(operation), (workload.name, mode.name)
            right += 1
    assert right >= 4


# -- measuring, with peers that only pretend --------------------------------------------------------

TINY = Workload("test", "small", matmul(3, 4, 5))
FAKES = Suite("fakes", "a test", (TINY, replace(TINY, source="again")), (), {"small": 1.5})


class FakePeer:
    """A peer that answers at once, with the given result of the product."""

    def __init__(self, change: float = 0.0, reason: Exception | None = None) -> None:
        self.change, self.reason = change, reason

    def version(self) -> str:
        return "1.2.3"

    def modes(self, operation: Contraction, arrays: inputs.Mapping, threads: int) -> list[Mode]:
        if self.reason is not None:
            raise self.reason
        product = (arrays["A"] @ arrays["B"]) * (1 + self.change)
        return [
            Mode("slow", lambda: timing.time.sleep(2e-3) or product),
            Mode("quick", lambda: product),
        ]


@pytest.fixture
def fakes(monkeypatch):
    peers = {
        "right": FakePeer(),
        "wrong": FakePeer(change=1e-3),
        "unable": FakePeer(reason=Unavailable("no such operator")),
        "missing": FakePeer(reason=ImportError("no module", name="missing")),
    }
    monkeypatch.setattr(measure, "peer", peers.__getitem__)
    return measure.Settings(threads=1, peers=tuple(peers), seconds=0.0)


def test_wrong_results_are_struck_and_reasons_kept(fakes):
    result = measure.race(measure.prepare(FAKES, TINY, fakes))
    right = result.standing("right")
    assert right.mode == "quick" and right.counts and len(right.samples) >= timing.ROUNDS
    assert result.standing("wrong").note.startswith("wrong: differs by 0.001")
    assert result.best_peer is right
    assert result.ratio == right.best / result.ours.best
    assert result.standing("unable").note == "no such operator"
    assert result.standing("missing").note == "not installed: missing"
    assert result.versions["right"] == "1.2.3"
    assert result.operations == 2 * 3 * 4 * 5
    assert result.bytes == 4 * (3 * 5 + 5 * 4 + 3 * 4)
    assert result.peak > 0 and result.bandwidth > 0
    assert result.facts["compile_seconds"] > 0


def test_who_is_far_behind_is_not_timed_in_the_rounds():
    def standing(name: str, seconds: float) -> measure.Entrant:
        return measure.Entrant(name, Mode("", lambda: timing.time.sleep(seconds)), 0.0)

    entrants = [standing(OURS, 9e-3), standing("quick", 1e-3), standing("slow", 9e-3)]
    ours, quick, slow = measure._finalists(entrants)
    assert not ours.samples and not quick.samples
    assert len(slow.samples) == 1 and "far behind" in slow.note
    assert measure._finalists(entrants[::2])[1].samples == ()  # the only peer is always timed


def test_a_run_keeps_every_result_and_can_be_taken_up(fakes, tmp_path):
    path = tmp_path / "results.jsonl"
    assert run.measured_before(path, FAKES, 1) == []
    progress = next(run.run(FAKES, FAKES.workloads, fakes, path))  # interrupted after the first
    assert (progress.done, progress.total) == (1, 2) and progress.seconds_left > 0
    (kept,) = run.measured_before(path, FAKES, 1)
    assert kept == progress.result
    assert run.measured_before(path, FAKES, 2) == []
    with path.open("a") as file:
        file.write('{"version": 1, "cut')
    with pytest.raises(BindingError, match="1 lines are no results"):
        run.measured_before(path, FAKES, 1)


def test_a_workload_that_does_not_compile_costs_only_itself(fakes):
    broken = Workload("test", "small", Unbindable())
    first, second = run.run(FAKES, (broken, TINY), fakes)
    assert first.result.ratio is None
    assert "failed" in first.result.standings[0].note
    assert second.result.ratio > 0
    (table,) = [t for t in report.tables(FAKES, [first.result]) if t.title == "Without a ratio"]
    assert "failed" in table.rows[0][1]


class Unbindable(ProgramText):
    """Text that tcomp refuses."""

    def __init__(self) -> None:
        super().__init__("broken", "def f(X: f32[3]) -> Y: f32[3]:\n    Y[i] = Z[i]\n")

    inputs = results = property(lambda self: ())
    multiply_adds = 1.0


# -- summing up -------------------------------------------------------------------------------------


def made(name: str, ours: float, peers: dict[str, float], **changes: object) -> Result:
    standings = [
        Standing(OURS, "fresh output", (2 * ours, 3 * ours), 0.0),
        Standing(OURS_OUT, "out=", (ours, 2 * ours), 0.0),
        *(Standing(n, "mode", (s, 2 * s), 0.0) for n, s in peers.items()),
    ]
    base = Result(
        suite="fakes", workload=name, source="net", kind="small", accuracy="standard", threads=1,
        standings=tuple(standings), operations=1e9, bytes=1e6, peak=1e11, bandwidth=1e10,
        when="2026-01-01T00:00:00Z", machine={}, versions={},
    )  # fmt: skip
    return replace(base, **changes)


def test_a_ratio_is_the_best_peers_minimum_over_ours():
    result = made("a", 2.0, {"x": 3.0, "y": 5.0})
    assert result.ratio == 1.5 and result.best_peer.name == "x"
    assert result.limit == 1e9 / 1e11 and result.share == 0.005
    wrong = replace(
        result, standings=(*result.standings[:2], Standing("x", "", (1.0,), 1.0, "wrong: 1"))
    )
    assert wrong.ratio is None
    ours_wrong = tuple(replace(s, note="wrong: 1") for s in result.standings[:2])
    assert replace(result, standings=(*ours_wrong, result.standings[2])).ratio is None


def test_how_near_the_analytical_schedule_comes():
    result = made("a", 2.0, {})
    assert result.analytical_share is None
    for tuned, share in ((1.5, 0.75), (2.5, 1.0)):
        standing = Standing(OURS_TUNED, "out=", (tuned,), 0.0)
        measured = replace(result, standings=(*result.standings, standing))
        assert measured.analytical_share == share
        (table,) = [t for t in report.tables(FAKES, [measured]) if t.title.startswith("Analytical")]
        assert table.rows == (("a", "2e+03", f"{tuned * 1e3:.3g}", f"{share:.0%}"),)


def test_geometric_means():
    assert report.geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert report.geometric_mean([0.5, 2.0, 1.0]) == pytest.approx(1.0)
    assert math.isnan(report.geometric_mean([]))


def test_several_runs_give_the_median_ratio():
    runs = [made("a", 1.0, {"x": r}) for r in (0.9, 1.3, 1.1)]
    (score,) = report.scores(runs)
    assert (score.ratio, score.lowest, score.highest, score.runs) == (1.1, 0.9, 1.3, 3)


def test_tables_name_targets_and_what_falls_short():
    found = [made("a", 1.0, {"x": 0.5}), made("b", 1.0, {"x": 2.0}), made("c", 1.0, {})]
    shown = {
        t.title: t
        for t in report.tables(FAKES, [*found, made("z", 1.0, {"x": 9.0}, suite="other")])
    }
    assert shown["Classes"].rows == (("small", "2", "1.00", "0.50", "2.00", "1.50", "1 of 2"),)
    assert [r[0] for r in shown["Below 0.95"].rows] == ["a"]
    assert [r[0] for r in shown["Without a ratio"].rows] == ["c"]
    text = report.markdown(shown.values())
    assert "| small | 2 | 1.00 | 0.50 | 2.00 | 1.50 | 1 of 2 |" in text
    assert "analytical of best" not in text  # a table without rows
    assert "a" in report.plain(shown["Below 0.95"])


def test_derivations_tell_what_the_search_did():
    facts = {"rules": ["distributivity", "distributivity"], "states": 7, "engine_seconds": 0.5}
    found = [made("a", 1.0, {"as_written": 40.0}, facts=facts)]
    (table,) = [t for t in report.tables(FAKES, found) if "derived" in t.title]
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert (row["ratio"], row["rules"], row["states"], row["engine"]) == (
        "40",
        "distributivity",
        "7",
        "500",
    )


def test_the_plot_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    from tcomp.benchmarks.plot import plot

    plot(FAKES, report.scores([made("a", 1.0, {"x": 0.5})]), tmp_path / "ratios.svg")
    assert "<svg" in (tmp_path / "ratios.svg").read_text()


def test_lines_are_self_contained_json(tmp_path):
    path = tmp_path / "results.jsonl"
    results.append(path, made("a", 1.0, {"x": 0.5}))
    assert json.loads(path.read_text())["workload"] == "a"
    path.write_text(path.read_text().replace('"version": 1', '"version": 0'))
    assert results.read(path) == ([], 1)


def test_differences_see_shapes_and_nan():
    wanted = (np.array([1.0, -4.0]),)
    assert inputs.difference([np.array([1.0, -3.0])], wanted) == 0.25
    assert inputs.difference([np.array([1.0])], wanted) == math.inf
    assert inputs.difference([np.array([np.nan, -4.0])], wanted) == math.inf


def test_a_table_goes_between_its_markers():
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
    try:
        import tables
    finally:
        sys.path.pop(0)
    page = "a\n<!-- suite x -->\nold\n<!-- end of suite -->\nb\n"
    assert tables.page_with(page, "x", "new\n") == page.replace("old", "new")
    with pytest.raises(ValueError, match="no markers"):
        tables.page_with(page, "y", "new\n")
    for name, file in tables.PAGES.items():
        tables.page_with((tables.DOCS / file).read_text(), name, "")


def test_rounds_rotate_and_a_rest_ends_when_threads_sleep(monkeypatch):
    monkeypatch.setattr(timing, "_WARM", 0.0)  # one call
    order: list[str] = []
    contenders = [
        timing.Contender(n, lambda n=n: order.append(n) or timing.time.sleep(2e-3)) for n in "ab"
    ]
    timings = timing.interleave(contenders, budget=0.0)
    assert [len(t.samples) for t in timings] == [timing.ROUNDS] * 2
    rounds = order[-4 * timing.ROUNDS :]
    assert rounds[:8] == list("aabbbbaa")
