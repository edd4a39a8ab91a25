"""Tensor contractions of quantum chemistry and tensor networks.

The equations are those of the TCCG benchmark (Springer and Bientinesi, "Design of a High-Performance GEMM-like
Tensor-Tensor Multiplication", ACM TOMS 44(3), 2018, table 2), retyped: result, left, right. Extents follow a rule of
our own: about equal within a contraction, and about one billion multiply-adds at most.
"""

from tcomp.benchmarks.operations import Contraction
from tcomp.benchmarks.workload import Workload


def _tccg(equation: str, **extents: int) -> Workload:
    out, left, right = equation.split("-")
    named = tuple(sorted(extents.items()))
    return Workload("tccg", "tensor", Contraction(f"{left},{right}->{out}", named))


WORKLOADS = (
    _tccg("ab-cad-dcb", a=312, b=312, c=72, d=72),
    _tccg("abc-bda-dc", a=96, b=96, c=96, d=96),
    _tccg("abcd-dbea-ec", a=48, b=40, c=40, d=48, e=48),
    _tccg("abcd-ebad-ce", a=48, b=40, c=40, d=48, e=48),
    _tccg("abcde-efbad-cf", a=24, b=20, c=24, d=20, e=24, f=72),
    _tccg("abcd-ea-ebcd", a=48, b=48, c=40, d=40, e=48),
    _tccg("abcd-aebf-dfce", a=32, b=32, c=32, d=32, e=24, f=32),
    _tccg("abcd-aebf-fdec", a=32, b=32, c=32, d=32, e=24, f=32),
    _tccg("abcdef-dega-gfbc", a=16, b=12, c=12, d=16, e=12, f=12, g=24),
    _tccg("abcdef-gdab-efgc", a=16, b=12, c=12, d=16, e=12, f=12, g=24),
)
