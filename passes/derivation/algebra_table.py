"""The rules of algebra beyond sums of products: expansion, scales, windows, prefixes, exponentials."""

from __future__ import annotations

from tcomp.passes.derivation import linear, logarithms, online, prefix, windows
from tcomp.passes.derivation.index.reindex import on_definitions
from tcomp.passes.derivation.rule import Rule, at_definitions, everywhere
from tcomp.passes.semiring import REDUCTIONS

ALGEBRA_RULES: tuple[Rule, ...] = (
    Rule(
        "expansion",
        "sum[k]((f - g) * (f - g))",
        "sum[k](f * f) - 2 * sum[k](f * g) + sum[k](g * g)",
        "at most 9 terms, one of which depends on fewer iterators than the product or is a product of sums",
        "binomial theorem; distances by norms: K. Fukunaga, Statistical Pattern Recognition, 1990",
        everywhere(linear.expand_sum, "sum"),
        cancels=True,
    ),
    Rule(
        "sum splitting by divisors",
        "sum[j in 0:m*n](f(j // m, j % m))",
        "sum[q in 0:n, p in 0:m](f(q, p))",
        "m divides the range",
        "Kronecker products: C. Van Loan, J. Comput. Appl. Math. 123 (2000)",
        everywhere(linear.split_by_divisor, *REDUCTIONS),
    ),
    Rule(
        "range splitting",
        "sum[j in 0:n](where(j < c, f, g))",
        "sum[j in 0:c](f) + sum[j in c:n](g)",
        "0 < c < n; any semiring",
        "expression splitting of OLLIE (arXiv 2208.02025), here of sums",
        everywhere(linear.split_range, *REDUCTIONS),
    ),
    Rule(
        "division pull-out",
        "sum[k](f / s * g)",
        "sum[k](f * g) / s",
        "s does not mention k",
        "delayed normalisation: T. Dao et al., FlashAttention, NeurIPS 2022",
        everywhere(linear.pull_out_division, "sum"),
        certain=True,
    ),
    Rule(
        "scale folding",
        "sum[k](f * g) * s",
        "sum[k](f * (g * s))",
        "s needs no iterator that g lacks",
        "batch-norm folding: B. Jacob et al., CVPR 2018, section 3.2",
        everywhere(linear.fold_scale, "mul", "div"),
        certain=True,
    ),
    Rule(
        "grouping",
        "(x[i, j] - a[j]) + b[j]",
        "x[i, j] + (b[j] - a[j])",
        "terms over the same iterators are joined first",
        "ring axioms",
        everywhere(linear.group_terms, "add", "sub"),
        certain=True,
    ),
    Rule(
        "exponentials",
        "exp(a) * exp(b)",
        "exp(a + b)",
        "also exp(a) / exp(b) = exp(a - b)",
        "homomorphism",
        everywhere(linear.join_exponentials, "mul", "div"),
        certain=True,
    ),
    Rule(
        "logarithms",
        "log(exp(a) / s)",
        "a - log(s)",
        "also of products and quotients, log(f * g) = log(f) + log(g); f, g and s are sums or products of exponentials",
        "homomorphism",
        logarithms.split_logarithms,
        certain=True,
    ),
    Rule(
        "window sharing",
        "Y[y] = sum[r, s](w[r] * f(y + r, s))",
        "T[t] = sum[s](f(t, s)); Y[y] = sum[r](w[r] * T[y + r])",
        "f sees y and r as y + r alone; any semiring",
        "separable filters",
        on_definitions(windows.share_windows),
    ),
    Rule(
        "window splitting",
        "Y[y] = sum[r in 0:n*m](f(y + r))",
        "T[t] = sum[p in 0:m](f(t + p)); Y[y] = sum[q in 0:n](T[y + m*q])",
        "f sees y and r as y + r alone; any semiring; taps beyond n*m are added",
        "M. van Herk, Pattern Recognition Letters 13 (1992); here without subtraction",
        on_definitions(windows.split_window),
    ),
    Rule(
        "stencil separation",
        "u0*v0*X[y, x] + u0*v1*X[y, x+1] + u1*v0*X[y+1, x] + u1*v1*X[y+1, x+1]",
        "u0*T[y, x] + u1*T[y+1, x] with T[t, x] = v0*X[t, x] + v1*X[t, x+1]",
        "the weights are constants and a matrix of rank 1",
        "separable filters",
        on_definitions(windows.separate_stencil),
    ),
    Rule(
        "prefix scan",
        "Y[i] = sum[j](where(j <= i, f(j), 0))",
        "scan[i] T[i] = (T[i-1] else 0) + f(i); Y[i] = T[i]",
        "f does not mention i; any semiring",
        "G. Blelloch, Prefix sums and their applications, 1990",
        at_definitions(prefix.scan_prefixes),
    ),
    Rule(
        "online softmax",
        "m[x] = max[t](L[x, t]); E[x, t] = exp(L[x, t] - m[x]); S[x] = sum[t](E[x, t] * g(t))",
        "scan[b]: a running maximum n[b, x], and a[b, x] = (a[b-1, x] else 0) * exp(n[b-1, x] - n[b, x]) + "
        "sum[i](exp(L[x, B*b + i] - n[b, x]) * g(B*b + i)); S[x] = a[last, x]",
        "E is read by sums over t alone, whose other factors do not depend on E",
        "M. Milakov, N. Gimelshein, arXiv 1805.02867",
        online.one_pass,
    ),
)
