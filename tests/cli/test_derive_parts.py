"""`tcomp derive` for programs of several parts: what equal ones became is shown once, logs and pages name them."""

from __future__ import annotations

import json

LAYERS = """\
# sizes: N=96
def layers(A: f32[N, N], B: f32[N, N], C: f32[N, N], D: f32[N, N], v: f32[N]) -> y: f32[N]:
    P[i, j] = sum[k](A[i, k] * B[k, j])
    Q[i, j] = sum[k](P[i, k] * B[k, j])
    h[i] = relu(sum[j](Q[i, j] * v[j]))
    R[i, j] = sum[k](C[i, k] * D[k, j])
    S[i, j] = sum[k](R[i, k] * D[k, j])
    y[i] = relu(sum[j](S[i, j] * h[j]))
"""


def test_equal_parts_are_shown_once(tcomp):
    (tcomp.folder / "layers.tc").write_text(LAYERS)
    text = tcomp("derive", "layers.tc").stdout
    assert text.count("factor pull-out at") == 1
    assert "which makes h; y likewise" in text
    assert "2 parts, 1 of them searched" in text


def test_a_log_of_parts_replays_and_refuses_what_was_changed(tcomp):
    (tcomp.folder / "layers.tc").write_text(LAYERS)
    facts = json.loads(tcomp("derive", "layers.tc", "--log", "proof.json", "--json").stdout)
    assert [part["makes"] for part in facts["parts"]] == [["h"], ["y"]]
    assert sorted({step["part"] for step in facts["steps"]}) == [0, 1]
    assert "equal over a prime field: True" in tcomp("derive", "--check", "proof.json").stdout
    log = json.loads((tcomp.folder / "proof.json").read_text())
    log["steps"][-1]["part"] = 0
    (tcomp.folder / "forged.json").write_text(json.dumps(log))
    assert "step" in tcomp("derive", "--check", "forged.json", status=2).stderr


def test_candidates_of_a_whole_program_are_timed(tcomp):
    (tcomp.folder / "layers.tc").write_text(LAYERS)
    facts = json.loads(tcomp("derive", "layers.tc", "--measure", "--json").stdout)
    measured = facts["measured"]
    assert len(measured["candidates"]) > 1
    assert [s["rule"] for s in facts["steps"]] == measured["candidates"][0]["rules"]
    costs = [each["cost"] for each in measured["candidates"]]
    assert costs == sorted(costs)


def test_the_page_has_a_graph_for_each_kind_of_part(tcomp):
    (tcomp.folder / "layers.tc").write_text(LAYERS)
    tcomp("derive", "layers.tc", "--html", "layers.html")
    text = (tcomp.folder / "layers.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 1 and "equal to it but for names" in text
    assert text.count('<g class="chosen">') == 1 + text.count(" at <code>")
