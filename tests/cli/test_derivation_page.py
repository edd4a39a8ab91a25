"""`tcomp derive --html`: one well-formed page with the graph, the chosen way and the steps."""

import re
from xml.etree import ElementTree

CHAIN = """\
def chain(A: f32[M, M], B: f32[M, M], v: f32[M]) -> y: f32[M]:
    C[i, j] = sum[k](A[i, k] * B[k, j])
    y[i] = sum[j](C[i, j] * v[j])
"""


def test_the_page_shows_the_chosen_way_and_the_others(tcomp, tmp_path):
    (tmp_path / "chain.tc").write_text(CHAIN)
    tcomp("derive", "chain.tc", "--size", "M=64", "--html", "chain.html")
    text = (tmp_path / "chain.html").read_text(encoding="utf-8")
    drawing = ElementTree.fromstring(re.search(r"<svg.*</svg>", text, re.DOTALL)[0])
    boxes = drawing.findall("g")
    chosen = [b for b in boxes if b.get("class") == "chosen"]
    steps = text.count("<h3>")
    assert steps >= 1
    assert len(chosen) == steps + 1  # the source, and the program after every step
    assert len(drawing.findall("path")) == len(boxes) - 1  # a tree
    assert len(boxes) > len(chosen)  # what was found and not chosen
    assert "http" not in text.replace("http://www.w3.org", "")
    assert "def chain" in text
    assert "estimated cycles" in text


def test_a_page_of_a_program_that_stays_as_it_is(tcomp, tmp_path):
    tcomp("derive", "layer.tc", "--size", "M=4", "--html", "layer.html")
    assert "as it is written" in (tmp_path / "layer.html").read_text(encoding="utf-8")


def test_a_derivation_shows_itself_in_notebooks():
    import tcomp

    shown = tcomp.compile(CHAIN, sizes={"M": 16}, tune="off").stages().derivation._repr_html_()
    assert "factor pull-out" in shown and "<svg" in shown and "<html" not in shown


def test_a_report_has_roofline_schedules_and_derivation(tcomp, tmp_path):
    (tmp_path / "chain.tc").write_text(CHAIN)
    tcomp("explain", "chain.tc", "--size", "M=64", "--html", "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)
    assert 'class="roofline"' in text and "factor pull-out" in text and "memory" in text
    assert "http" not in text
