"""The index rules, in the order in which the search tries them: cheap and likely wins first."""

from __future__ import annotations

from tcomp.passes.derivation.index import (
    affine,
    bounds,
    layout,
    merging,
    ranges,
    residues,
    splitting,
    staging,
)
from tcomp.passes.derivation.index.reindex import on_definitions
from tcomp.passes.derivation.rule import Rule, everywhere

_OLLIE = "OLLIE (arXiv 2208.02025)"

INDEX_RULES: tuple[Rule, ...] = (
    Rule(
        "congruence",
        "sum[r in 0:n](where((a*r + e) % m == 0, f(r), 0) * g(r))",
        "sum[q in 0:ceil(n/m)](f(m*q + s) * g(m*q + s)) with s = (-e / a) % m",
        "a and m have no common divisor (else d = gcd divides what is left); terms beyond n are guarded",
        "linear congruences: Knuth, The Art of Computer Programming 2, 4.3.2",
        everywhere(residues.solve_congruence),
        reassociates=False,
        always=True,
    ),
    Rule(
        "variable splitting",
        "T[y] = f(y)",
        "U[p, q] = f(m*q + p); T[y] = U[y % m, y // m]",
        "m divides a position, or is the dilation of a window or a band along y, or the rows of a block of "
        "a band; where it does not divide the range, reads of the points beyond it are guarded",
        _OLLIE + ", variable substitution; residues as a batch, which its banded product is not",
        splitting.split_outputs,
        reassociates=False,
    ),
    Rule(
        "boundary tightening",
        "T[t in 0:n] = (A[t - p] else 0) * f",
        "U[t in p:n - p] = A[t - p] * f; T[t] = U[t] else 0",
        "outside the new range a factor of every term is a guard's 0",
        _OLLIE + ", boundary tightening; here each side by itself",
        on_definitions(bounds.tighten_output),
        reassociates=False,
    ),
    Rule(
        "skew",
        "T[h, r] = f(h + a*r, r)",
        "U[t, r] = f(t, r); T[h, r] = U[h + a*r, r]",
        "h has coefficient 1 or -1; points that nobody reads are guarded; other iterators may move the position too",
        _OLLIE + ", variable substitution",
        on_definitions(affine.skew),
        reassociates=False,
    ),
    Rule(
        "layout transformation",
        "T[x, y] = f(x, y)",
        "U[y, x] = f(x, y); T[x, y] = U[y, x]",
        "always; used for products, whose rows and columns become ranges of memory",
        _OLLIE + ", layout transformation; guards of readers go with it",
        on_definitions(layout.lay_out),
        reassociates=False,
    ),
    Rule(
        "variable merging",
        "T[x, y] = f(a*x + b*y)",
        "U[z] = f(z + c); T[x, y] = U[a*x + b*y - c]",
        "|a| = 1 and |b| is the extent of x: z runs through all values once",
        _OLLIE + ", variable substitution",
        on_definitions(affine.merge),
        reassociates=False,
    ),
    Rule(
        "summation splitting",
        "T[x] = sum[j, k](f)",
        "S[j, x] = sum[k](f); T[x] = sum[j](S[j, x])",
        "some position in f moves with j and with x together",
        _OLLIE + ", summation splitting",
        on_definitions(staging.split_summation),
    ),
    Rule(
        "sum variable splitting",
        "sum[r in 0:m*n](f(r))",
        "sum[q in 0:n, p in 0:m](f(m*q + p))",
        "r is a tap of a window",
        _OLLIE + ", variable substitution",
        everywhere(splitting.split_summed),
    ),
    Rule(
        "sum boundary tightening",
        "sum[r in 0:n]((A[r - p] else 0) * g)",
        "sum[r in p:n - p](A[r - p] * g)",
        "outside the new range a factor of every term is a guard's 0",
        _OLLIE + ", boundary tightening",
        everywhere(bounds.tighten_sum),
        reassociates=False,
    ),
    Rule(
        "boundary relaxing",
        "sum[r in 0:n](f(r) * g(r))",
        "sum[r in 0:m](f(r) * g(r)) with g guarded: 0 from n on",
        "m > n; the new terms are f * 0, so inputs are finite",
        _OLLIE + ", boundary relaxing",
        everywhere(splitting.relax),
    ),
    Rule(
        "sum reversal",
        "sum[r in 0:n](f(n - 1 - r))",
        "sum[r in 0:n](f(r))",
        "every position that moves with r goes backwards",
        _OLLIE + ", variable substitution",
        everywhere(splitting.reverse),
    ),
    Rule(
        "expression splitting",
        "T[x in 0:n] = f(x)",
        "A[x in 0:m] = f(x); B[x in m:n] = f(x); T[x] = where(x < m, A[x], B[x])",
        "f compares x with a constant, and reduces",
        _OLLIE + ", expression splitting",
        on_definitions(ranges.split_range),
        reassociates=False,
    ),
    Rule(
        "expression merging",
        "P[i, j] = sum[k](X[i, k] * V[k, j]); Q[i, j] = sum[k](X[i, k] * W[k, j])",
        "M[i, j] = sum[k](X[i, k] * (V beside W)[k, j]); P[i, j] = M[i, j]; Q[i, j] = M[i, |V| + j]",
        "the products share X up to the names of iterators, and none needs another",
        _OLLIE + ", expression merging",
        merging.merge_products,
        reassociates=False,
    ),
)
