"""The table of rules, in the order in which the search tries them."""

from __future__ import annotations

from fractions import Fraction

from tcomp.passes.derivation import algebra, linear, structure
from tcomp.passes.derivation.algebra_table import ALGEBRA_RULES
from tcomp.passes.derivation.index import INDEX_RULES
from tcomp.passes.derivation.rule import Rule, at_definitions, everywhere
from tcomp.passes.derivation.strassen import strassen
from tcomp.passes.derivation.toom_cook import toom_cook
from tcomp.passes.derivation.winograd import LEAST_TILES, winograd
from tcomp.passes.semiring import ADDITIONS, REDUCTIONS, TIMES

# Points of F(4, 3): opposite ones share sums, eighths are exact, and magnitudes around 1 keep rounding
# small. Largest error of 64 channels of N(0, 1), as a part of the largest result: direct 1.1e-6, these
# 1.7e-6, points 0, 1, -1, 1/2, -2 2.2e-6, points 0, 1, -1, 2, -2 4.7e-6.
EIGHTHS = (Fraction(5, 8), Fraction(-5, 8), Fraction(5, 4), Fraction(-5, 4))
_SPORES = "SPORES (Wang et al., VLDB 2020), table 1"

# Bilinear algorithms: fewer products than the definition names, with constants of their own.
LEMMAS: tuple[Rule, ...] = (
    *(
        Rule(
            f"Winograd F({m}, {taps})",
            f"sum[c, p in 0:a, q in 0:{taps}](f(a*(y + z + q) + p, c) * w(a*q + p, z, c))",
            f"{m + taps - 1} products for {m} outputs: transforms of f and w, sums over c and p, transforms back",
            "f moves with y + q (and x + s), by a stride a or 1, and with phases z as with y; w does not know y; "
            "classes p that lack the last tap are left out at infinity",
            "Winograd (1980); Lavin and Gray, CVPR 2016; points: toom_cook.py",
            winograd(toom_cook(m, taps, points), least),
            certain=True,
            cancels=m + taps > 5,
        )
        for m, taps, least, points in (
            # points 0, 1 take 1 % less for 128 channels of 16 x 16, with 1.2 times the error of direct products (1.0)
            (2, 2, LEAST_TILES, (1, -1)),
            (3, 2, LEAST_TILES, (0, 1, -1)),
            # along one axis: largest error of 256 channels 1.2 times the direct one, with 0, 1, -1, 2 2.2 times
            (4, 2, LEAST_TILES, EIGHTHS),
            (2, 3, LEAST_TILES, (0, 1, -1)),
            (4, 3, LEAST_TILES, (0, *EIGHTHS)),
            # 48 channels of 7 x 7, 16 tiles: 0.025 ms as direct products; 64 of 27 x 27: 0.84, so 0.44
            (2, 5, 4 * LEAST_TILES, (0, *EIGHTHS)),
        )
    ),
    Rule(
        "Winograd F(3, 4), in two pieces",
        "sum[c, r in 0:7](f(y + r, c) * w(r, c))",
        "sum[c, h in 0:2, q in 0:4](f(y + 4*h + q, c) * w(4*h + q, c)), then 12 products for 3 outputs",
        "seven or eight taps along one axis; w is 0 behind the last one",
        "F(2, 7) has 8 products for 2 outputs, and three times the error of direct evaluation",
        winograd(toom_cook(3, 4, (0, *EIGHTHS)), pieces=2),
        certain=True,
        cancels=True,
    ),
    *(
        Rule(
            name,
            "sum[k](f(i, k) * h(k, j))",
            f"{7**levels} sums over parts of i, j and k, and sums of them",
            f"large ranges, multiples of {2**levels}; f does not know j, h does not know i",
            "Strassen, Numer. Math. 13 (1969); Huang et al., SC 2016",
            strassen(levels, least),
            certain=True,
            cancels=levels > 1,
        )
        for name, levels, least in (("Strassen", 1, 2048), ("Strassen, two levels", 2, 4096))
    ),
)

RULES: tuple[Rule, ...] = (
    Rule(
        "traversal merging",
        "T[x] = f(x); Y[y] = g(T[h(y)])",
        "Y[y] = g(f(h(y)))",
        "T is no result; where T[h(y)] is guarded, what f reads is guarded too",
        "OLLIE (arXiv 2208.02025), traversal merging; here with exact borders",
        structure.merge_traversals,
        reassociates=False,
    ),
    Rule(
        "sum merging",
        "sum[i](f * sum[j](g))",
        "sum[i, j](f * g)",
        "f does not mention j",
        _SPORES,
        everywhere(algebra.merge_sums, *REDUCTIONS),
    ),
    Rule(
        "re-association",
        "sum[j, k](a[i, j] * b[j, k] * c[k])",
        "sum[j](a[i, j] * t[j]) with t[j] = sum[k](b[j, k] * c[k])",
        "a sum of three or more factors",
        "Pfeifer, Haegeman, Verstraete, Phys. Rev. E 90, 033315 (2014)",
        at_definitions(structure.reassociate),
    ),
    Rule(
        "factor pull-out",
        "sum[i, j](f * g)",
        "sum[i](f * sum[j](g))",
        "f does not mention j",
        _SPORES,
        everywhere(algebra.pull_out, *REDUCTIONS),
    ),
    Rule(
        "sum joining",
        "sum[i](f) + sum[j](g)",
        "sum[i](f + g[j := i])",
        "i and j have equal ranges",
        _SPORES,
        everywhere(algebra.join_sums, *ADDITIONS),
    ),
    Rule(
        "factoring",
        "a * c + b * c",
        "(a + b) * c",
        "always",
        _SPORES,
        everywhere(algebra.factor_out, *ADDITIONS),
        certain=True,
    ),
    Rule(
        "sum splitting",
        "sum[i](f + g)",
        "sum[i](f) + sum[i](g)",
        "always",
        _SPORES,
        everywhere(algebra.split_sum, *REDUCTIONS),
    ),
    Rule(
        "shift folding",
        "(x[i, j] - a[j]) * s[j] + b[j]",
        "x[i, j] * s[j] + (b[j] - a[j] * s[j])",
        "terms over the same iterators are joined first",
        "batch-norm folding: B. Jacob et al., CVPR 2018, section 3.2",
        everywhere(linear.fold_shift, "add", "sub"),
        certain=True,
    ),
    Rule(
        "distribution",
        "(a + b) * c",
        "a * c + b * c",
        "any semiring",
        _SPORES,
        everywhere(algebra.distribute, *TIMES),
        certain=True,
    ),
    Rule(
        "unused iterator",
        "sum[i in 0:n](f)",
        "n * f",
        "f does not mention i",
        _SPORES,
        everywhere(algebra.drop_unused, *REDUCTIONS),
    ),
    Rule(
        "delta elimination",
        "sum[i in 0:n](where(i == e, f(i), 0))",
        "where(0 <= e and e < n, f(e), 0)",
        "e does not mention i; f has no data-dependent read",
        "Iverson's bracket; Concrete Mathematics, section 2.1",
        everywhere(algebra.eliminate_delta, "sum"),
        reassociates=False,
        always=True,
    ),
    Rule(
        "negation",
        "(-a) * b",
        "-(a * b)",
        "always",
        "ring axiom",
        everywhere(algebra.cancel_negation, "mul", "sum"),
        certain=True,
        reassociates=False,
    ),
    *ALGEBRA_RULES,
    *LEMMAS,
    *INDEX_RULES,
)
