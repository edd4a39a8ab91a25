"""`tcomp derive` with inputs that are bound when compiling."""

import json

LAYERS = """\
def layers(X: f32[M, 48], V: f32[48, 64], W: f32[64, 32]) -> Y: f32[M, 32]:
    Y = matmul(matmul(X, V), W)
"""


def test_what_constants_alone_decide_costs_nothing(tcomp, tmp_path):
    (tmp_path / "layers.tc").write_text(LAYERS)
    command = ("derive", "layers.tc", "--size", "M=40", "--json")
    plain = json.loads(tcomp(*command).stdout)
    bound = json.loads(tcomp(*command, "--constant", "V", "--constant", "W").stdout)
    assert plain["steps"] == [] or plain["operations_after"] > 2 * 40 * 48 * 32
    assert bound["steps"] and bound["operations_after"] == 2 * 40 * 48 * 32


def test_a_constant_that_is_no_input_is_named(tcomp, tmp_path):
    (tmp_path / "layers.tc").write_text(LAYERS)
    failed = tcomp("derive", "layers.tc", "--size", "M=40", "--constant", "U", status=2)
    assert "no input called U" in failed.stderr
