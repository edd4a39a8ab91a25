"""Likely mistakes of syntax: programs that make them, and what is said about each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """A likely mistake: how it is reported, and programs that make it."""

    code: str
    message: str
    hint: str
    examples: tuple[str, ...]


_HEAD = "def f(X: f32[N]) -> Y: f32[N]:\n"

MISTAKES = (
    Mistake(
        "TC004",
        "':' is missing at the end of this line",
        "a def and a block of a scan begin with a line that ends in ':'",
        (
            "def f(X: f32[N]) -> Y: f32[N]\n    Y[i] = X[i]\n",
            "def f(x: f32) -> y: f32\n    y = x\n",
            "def f(x: f32) -> (y: f32, z: f32)\n    y = x\n",
            _HEAD + "    scan[t]\n        Y[t] = X[t]\n",
        ),
    ),
    Mistake(
        "TC005",
        "'=' defines a tensor; '==' compares",
        "write '==' inside an expression",
        (
            _HEAD + "    Y[i] = where(X[i] = 0, 1, 2)\n",
            _HEAD + "    Y[i] = (X[i] = 0)\n",
            _HEAD + "    Y[i] = X[i] = 0\n",
            _HEAD + "    Y[i] = X[2*i = 0]\n",
            _HEAD + "    Y[i] = where(x = 0, 1, 2)\n",
            _HEAD + "    Y[i] = where(1 = 0, 1, 2)\n",
            _HEAD + "    Y[i] = where(f(x) = 0, 1, 2)\n",
        ),
    ),
    Mistake(
        "TC005",
        "a definition is written with '='",
        "'==' compares two values inside an expression",
        (_HEAD + "    Y[i] == X[i]\n", _HEAD + "    y == X[i]\n"),
    ),
    Mistake(
        "TC001",
        "the results of the def are missing",
        "write '-> Y: f32[N]' after the inputs",
        (
            "def f(X: f32[N]):\n    Y[i] = X[i]\n",
            "def f(X: f32[N])\n    Y[i] = X[i]\n",
            "def f():\n    Y = 1\n",
        ),
    ),
    Mistake(
        "TC030",
        "a type is missing: inputs and results are written 'name: type[sizes]'",
        "as in X: f32[M, N]",
        (
            "def f(X) -> Y: f32[N]:\n    Y[i] = X[i]\n",
            "def f(X, W: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i]\n",
            "def f(X: f32[N]) -> Y:\n    Y[i] = X[i]\n",
            "def f(X[N]) -> Y: f32[N]:\n    Y[i] = X[i]\n",
            "def f(f32 X) -> Y: f32[N]:\n    Y[i] = X[i]\n",
            "def f(X: f32[N]) -> f32[N]:\n    Y[i] = X[i]\n",
            "def f(X: f32[N]) -> (Y, Z):\n    Y[i] = X[i]\n",
            "def f(X: ) -> Y: f32[N]:\n    Y[i] = X[i]\n",
        ),
    ),
    Mistake(
        "TC030",
        "the sizes of a type stand in brackets",
        "as in X: f32[M, N]",
        (
            "def f(X: f32(N)) -> Y: f32[N]:\n    Y[i] = X[i]\n",
            "def f(X: f32[N]) -> Y: f32(N):\n    Y[i] = X[i]\n",
        ),
    ),
    Mistake(
        "TC028",
        "a parameter has a default",
        "as in def pool[size=2](...)",
        (
            "def f[n](X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i]\n",
            "def f[n, m=1](X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i]\n",
            "def f[n: i32](X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i]\n",
        ),
    ),
    Mistake(
        "TC024",
        "the body of the def is missing",
        "its definitions follow on indented lines",
        (
            "def f(X: f32[N]) -> Y: f32[N]:\nY[i] = X[i]\n",
            "def f(X: f32[N]) -> Y: f32[N]:\n",
            "def f(X: f32[N]) -> Y: f32[N]:\ndef g(x: f32) -> y: f32:\n    y = x\n",
            "def f(X: f32[N]) -> Y: f32[N]: Y[i] = X[i]\n",
            _HEAD + "    scan[t]:\n    Y[i] = X[i]\n",
        ),
    ),
    Mistake(
        "TC024",
        "a program is made of defs",
        "begin with: def name(X: f32[N]) -> Y: f32[N]:",
        (
            "",
            "X[i] = 1\n",
            "1\n",
            "sum[k](X[k])\n",
            "import x\n",
            "tcomp 1\nX[i] = 1\n",
            "\nX[i] = 1\n",
            "(x)\n",
        ),
    ),
    Mistake(
        "TC003",
        "this line is indented, but no block begins before it",
        "lines of one block begin in the same column",
        (_HEAD + "    Y[i] = X[i]\n        Z[i] = X[i]\n",),
    ),
    Mistake(
        "TC001",
        "an operator or a comma is missing here",
        "products are written with '*'",
        (
            _HEAD + "    Y[i] = X[i] X[i]\n",
            _HEAD + "    Y[i] = 2 X[i]\n",
            _HEAD + "    Y[i] = 2 3\n",
            _HEAD + "    Y[i] = x x\n",
            _HEAD + "    Y[i] = f(x) x\n",
            _HEAD + "    Y[i] = X[i] 2\n",
            _HEAD + "    Y[i] = (X[i]) X[i]\n",
            _HEAD + "    Y[i] = (X[i]) (X[i])\n",
            _HEAD + "    Y[i] = 2 (X[i])\n",
            _HEAD + "    Y[i] = X[i j]\n",
            _HEAD + "    Y[i] = X[i] + 2 x\n",
            _HEAD + "    Y[i] = X[i] + X[i] x\n",
            _HEAD + "    Y[i] = X[i] + x x\n",
        ),
    ),
    Mistake(
        "TC001",
        "an operand is missing here",
        "",
        (
            _HEAD + "    Y[i] = X[i] +\n",
            _HEAD + "    Y[i] = X[i] *\n",
            _HEAD + "    Y[i] = X[i] * * 2\n",
            _HEAD + "    Y[i] = * 2\n",
            _HEAD + "    Y[i] =\n",
            _HEAD + "    Y[i] = (X[i] + )\n",
            _HEAD + "    Y[i] = ()\n",
            _HEAD + "    Y[i] = X[]\n",
            _HEAD + "    Y[i] = f(, x)\n",
            _HEAD + "    Y[i] = X[i] else\n",
            _HEAD + "    Y[i] = X[i] else * 2\n",
        ),
    ),
    Mistake(
        "TC023",
        "'else' follows a read directly",
        "as in (X[i-1] else 0): it says what the read is outside its tensor; "
        "to choose between values write where(c, a, b)",
        (
            _HEAD + "    Y[i] = (X[i]) else 0\n",
            _HEAD + "    Y[i] = x else 0\n",
            _HEAD + "    Y[i] = 1 else 0\n",
            _HEAD + "    Y[i] = f(x) else 0\n",
            _HEAD + "    Y[i] = X[i] else 0 else 1\n",
            _HEAD + "    Y[i] = X[i] else -1 else 1\n",
            _HEAD + "    Y[i] = x + x else 0\n",
            _HEAD + "    Y[i] = x + f(x) else 0\n",
        ),
    ),
    Mistake(
        "TC052",
        "there are no slices: an index is one position",
        "name the position with an iterator, as in Y[i] = X[i, 0]",
        (
            _HEAD + "    Y[i] = X[:, 0]\n",
            _HEAD + "    Y[i] = X[0:2]\n",
            _HEAD + "    Y[i] = X[i, :]\n",
            _HEAD + "    Y[i] = X[i:j]\n",
            _HEAD + "    Y[i] = X[i+1:j]\n",
        ),
    ),
    Mistake(
        "TC050",
        "a range is written lo:hi",
        "as in i in 0:N",
        (
            _HEAD + "    Y[i in N] = X[i]\n",
            _HEAD + "    Y[i in 4] = X[i]\n",
            _HEAD + "    Y[i in 0, N] = X[i]\n",
            _HEAD + "    Y[i in range(N)] = X[i]\n",
            _HEAD + "    Y[i in 0:] = X[i]\n",
            _HEAD + "    Y[i in :N] = X[i]\n",
            _HEAD + "    Y[i in 0:N:2] = X[i]\n",
        ),
    ),
)

CHARACTERS = {
    "^": ("TC008", "'^' is no operator", "powers are written with '**'"),
    "@": ("TC002", "'@' is no operator", "write matmul(A, B), or sum[k](A[i, k] * B[k, j])"),
    "&": ("TC002", "'&' is no operator", "truth values are joined with 'and'"),
    "|": ("TC002", "'|' is no operator", "truth values are joined with 'or'"),
    "!": ("TC002", "'!' is no operator", "write 'not', or '!=' to compare"),
    "~": ("TC002", "'~' is no operator", "write 'not'"),
    ";": ("TC002", "';' is not used", "each definition has a line of its own"),
    "{": ("TC002", "braces are not used", "blocks are made by indentation"),
    "}": ("TC002", "braces are not used", "blocks are made by indentation"),
    '"': ("TC002", "there is no text in programs", "comments begin with '#'"),
    "'": ("TC002", "there is no text in programs", "comments begin with '#'"),
    ".": ("TC002", "'.' has no meaning here", "there are no attributes: write shape and type by name"),
    "\\": ("TC002", "'\\' is not used", "lines go on inside ( ) and [ ]"),
}  # fmt: skip
