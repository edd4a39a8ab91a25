"""The command as users call it: processes, exit statuses, messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_version_and_help(tcomp):
    import tcomp as package

    assert tcomp("--version").stdout.split() == ["tcomp", package.__version__]
    text = tcomp("--help").stdout
    for word in ("run", "bench", "explain", "build", "cache", "explain-error", "Examples"):
        assert word in text


def test_help_loads_neither_numpy_nor_llvm(tcomp):
    code = (
        "import sys\nfrom tcomp.cli.main import invoke\nassert invoke(['--help']) == 0\n"
        "heavy = {'numpy', 'llvmlite', 'networkx', 'xgboost', 'lark', 'rich', 'ml_dtypes'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)


@pytest.mark.parametrize("command", ["run", "bench", "explain", "build", "cache", "explain-error"])
def test_every_command_has_help_with_examples(tcomp, command):
    text = tcomp(command, "--help").stdout
    assert text.startswith("Usage: tcomp")
    assert "--json" in text or command == "cache"


def test_run_checks_against_the_interpreter(tcomp):
    done = tcomp("run", "layer.tc", "--check")
    assert "layer  M=5 K=7 N=3" in done.stdout
    assert "Y: f32[5, 3]" in done.stdout
    assert "largest error" in done.stdout


def test_run_takes_and_writes_arrays(tcomp):
    rng = np.random.default_rng(0)
    X, W, b = (rng.standard_normal(s).astype(np.float32) for s in ((4, 6), (6, 2), (2,)))
    for name, array in (("x", X), ("w", W), ("b", b)):
        np.save(tcomp.folder / f"{name}.npy", array)
    tcomp(
        "run", "layer.tc", "--input", "X=x.npy", "--input", "W=w.npy", "--input", "b=b.npy",
        "--output", "Y=y.npy",
    )  # fmt: skip
    wanted = np.tanh(X.astype(np.float64) @ W + b)
    np.testing.assert_allclose(np.load(tcomp.folder / "y.npy"), wanted, atol=1e-6)


def test_sizes_come_from_the_option_before_the_file(tcomp):
    facts = json.loads(tcomp("run", "layer.tc", "--size", "M=2", "--json").stdout)
    assert facts["sizes"] == {"M": 2, "K": 7, "N": 3}
    assert facts["results"]["Y"]["type"] == "f32[2, 3]"


def test_the_seed_decides_the_inputs(tcomp):
    def mean(seed):
        facts = json.loads(tcomp("run", "layer.tc", "--seed", seed, "--json").stdout)
        return facts["results"]["Y"]["mean"]

    assert mean(1) == mean(1) != mean(2)


def test_random_positions_lie_inside(tcomp):
    sizes = [w for s in ("V=3", "D=2", "S=500") for w in ("--size", s)]
    facts = json.loads(tcomp("run", "pick.tc", *sizes, "--check", "--json").stdout)
    assert facts["check"]["ok"]


def test_bench_compares_with_numpy(tcomp):
    done = tcomp("bench", "layer.tc", "--check", "--seconds", "0", "--json", "--threads", "1")
    (facts,) = json.loads(done.stdout)["programs"]
    assert facts["rounds"] >= 15
    assert set(facts["timings"]) == {"tcomp", "tcomp, into out", "NumPy"}
    assert facts["check"]["ok"]
    assert facts["numpy"]["difference"] < 1e-5
    assert facts["speedup"] > 0


def test_bench_text_has_no_colour_codes_when_not_a_terminal(tcomp):
    text = tcomp("bench", "layer.tc", "--seconds", "0", "--show-numpy").stdout
    assert "\x1b" not in text
    assert "NumPy" in text and "@" in text


@pytest.mark.parametrize(
    ("suffix", "sign"), [(".ll", b"define "), (".s", b".text"), (".o", b"\x7fELF")]
)
def test_build_writes_code(tcomp, suffix, sign):
    facts = json.loads(tcomp("build", "layer.tc", "-o", f"layer{suffix}", "--json").stdout)
    content = (tcomp.folder / f"layer{suffix}").read_bytes()
    assert facts["bytes"] == len(content)
    assert sign in content


@pytest.mark.parametrize("stage", ["program", "derived", "loops", "llvm", "asm"])
def test_explain_prints_every_stage(tcomp, stage):
    assert tcomp("explain", "layer.tc", "--stage", stage).stdout.strip()


def test_explain_tells_what_was_made(tcomp):
    assert "layer" in tcomp("explain", "layer.tc").stdout


def test_cache_lists_and_clears(tcomp, tmp_path):
    own = {"TCOMP_CACHE_DIR": str(tmp_path / "own")}
    tcomp("run", "layer.tc", **own)
    facts = json.loads(tcomp("cache", "ls", "--json", **own).stdout)
    assert facts["entries"]
    assert json.loads(tcomp("cache", "clear", "--json", **own).stdout)["removed"] >= 1
    assert "0 kernels" in tcomp("cache", "ls", **own).stdout


def test_explain_error_tells_of_a_code(tcomp):
    text = tcomp("explain-error", "TC001").stdout
    assert text.startswith("TC001: unexpected text")
    assert "instead:" in text
    assert json.loads(tcomp("explain-error", "tc1", "--json", status=2).stdout or "{}") != {}
    assert json.loads(tcomp("explain-error", "tc001", "--json").stdout)["code"] == "TC001"
    assert "TC001  unexpected text" in tcomp("explain-error").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(tcomp, shell):
    assert "_TCOMP_COMPLETE" in tcomp("completion", shell).stdout


MISTAKES = [
    (["rum"], "did you mean 'run'"),
    (["run", "absent.tc"], "absent.tc"),
    (["run", "layer.tc", "--size", "M"], "NAME=INTEGER"),
    (["run", "layer.tc", "--size", "M=-1"], "at least 0"),
    (["run", "layer.tc", "--size", "MM=1"], "no size called MM"),
    (["run", "layer.tc", "--size", "M=1", "--size", "M=2"], "given twice"),
    (["run", "pick.tc"], "does not know the size V"),
    (["run", "layer.tc", "--input", "Z=z.npy"], "z.npy"),
    (["run", "layer.tc", "--output", "Z=z.npy"], "no result called Z"),
    (["run", "layer.tc", "--entry", "lair"], "layer"),
    (["run", "layer.tc", "--threads", "0"], "threads"),
    (["build", "layer.tc", "-o", "layer.dll"], ".ll"),
    (["explain-error", "TC9999"], "TC9999"),
    (["bench"], "FILE"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_mistake_is_one_clear_message_and_status_2(tcomp, arguments, message):
    done = tcomp(*arguments, status=2)
    assert message in done.stderr
    assert not done.stdout


def test_a_wrong_program_shows_the_place(tcomp):
    (tcomp.folder / "bad.tc").write_text("def f(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i] + Z[i]\n")
    done = tcomp("run", "bad.tc", "--size", "N=3", status=2)
    assert "bad.tc:2:19" in done.stderr
    assert "^" in done.stderr
    facts = json.loads(tcomp("run", "bad.tc", "--size", "N=3", "--json", status=2).stdout)
    assert facts["error"]["place"] == {"file": "bad.tc", "line": 2, "column": 19}


def test_an_array_file_that_is_none(tcomp):
    (tcomp.folder / "x.npy").write_text("no array")
    assert "x.npy" in tcomp("run", "layer.tc", "--input", "X=x.npy", status=2).stderr


def test_a_position_outside_is_the_users_mistake(tcomp):
    np.save(tcomp.folder / "ids.npy", np.array([0, 7], np.int32))
    sizes = ["--size", "V=3", "--size", "D=2"]
    done = tcomp("run", "pick.tc", *sizes, "--input", "ids=ids.npy", status=2)
    assert "E" in done.stderr


def test_a_bad_setting_is_named(tcomp):
    done = tcomp("run", "layer.tc", status=2, TCOMP_NUM_THREADS="many")
    assert "TCOMP_NUM_THREADS" in done.stderr
