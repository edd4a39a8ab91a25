"""Every error code with its explanation: what `tcomp explain-error` shows.

A catalogue, and so one long file: TC001-TC029 syntax and names, TC030-TC049 types, TC050-TC069 ranges,
indices and sizes, TC070-TC089 calls, TC090-TC099 files, settings, cache and internal errors. A test runs
the examples of the language: each failing one gives its code, each fixed one compiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means. `failing` and `fixed` are programs or calls, or "" where none helps."""

    code: str
    title: str
    text: str
    failing: str = ""
    fixed: str = ""

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.title}", "", self.text]
        for heading, example in (("fails:", self.failing), ("instead:", self.fixed)):
            if example:
                parts += ["", heading, *(f"    {line}" for line in example.splitlines())]
        return "\n".join(parts)


def explain(code: str) -> Explanation:
    """The explanation of a code, in any case (`tc010`, `10`). Raises KeyError naming the nearest one."""
    wanted = code.strip().upper()
    if wanted.isdecimal():
        wanted = f"TC{int(wanted):03d}"
    if wanted in EXPLANATIONS:
        return EXPLANATIONS[wanted]
    close = get_close_matches(wanted, EXPLANATIONS, n=1, cutoff=0.5)
    hint = f"; the nearest is {close[0]}" if close else ""
    raise KeyError(f"there is no error code '{code}'{hint}")


_HEAD = "def f(X: f32[N]) -> Y: f32[N]:\n"


def _body(*lines: str) -> str:
    return _HEAD + "".join(f"    {line}\n" for line in lines)


_ROWS = (
    # -- syntax and names ------------------------------------------------------------------------------
    Explanation(
        "TC001",
        "unexpected text",
        "The program does not follow the grammar at the marked place. The hint says what could stand there.",
        _body("Y[i] = 2 X[i]"),
        _body("Y[i] = 2 * X[i]"),
    ),
    Explanation(
        "TC002",
        "a character that has no meaning",
        "Programs are made of names, numbers, brackets and the operators + - * / // % ** == != < <= > >=.",
        _body("Y[i] = X[i] & 1"),
        _body("Y[i] = where(X[i] > 0 and X[i] < 1, X[i], 0)"),
    ),
    Explanation(
        "TC003",
        "indentation",
        "Blocks are made by indentation: all lines of one block begin in the same column. Tabs reach to the "
        "next multiple of eight columns; spaces are safer.",
        _body("A[i] = X[i]", "  Y[i] = A[i]"),
        _body("A[i] = X[i]", "Y[i] = A[i]"),
    ),
    Explanation(
        "TC004",
        "a missing ':'",
        "The first line of a def, and `scan[t]` before a block, end in ':'.",
        "def f(X: f32[N]) -> Y: f32[N]\n    Y[i] = X[i]\n",
        _body("Y[i] = X[i]"),
    ),
    Explanation(
        "TC005",
        "'=' and '=='",
        "'=' defines a tensor, once, at the start of a line. '==' compares inside an expression. There is "
        "no ':='.",
        _body("Y[i] = where(X[i] = 0, 1, X[i])"),
        _body("Y[i] = where(X[i] == 0, 1, X[i])"),
    ),
    Explanation(
        "TC006",
        "a chain of comparisons",
        "Comparisons do not chain: `a < b < c` is not `a < b and b < c` here, so it is refused.",
        _body("Y[i] = where(0 < X[i] < 1, X[i], 0)"),
        _body("Y[i] = where(0 < X[i] and X[i] < 1, X[i], 0)"),
    ),
    Explanation(
        "TC007",
        "a reduction without its iterators or its operand",
        "A reduction names the iterators that it runs over in brackets, then its operand in parentheses. "
        "For the larger of two values write `maximum(a, b)`.",
        "def f(X: f32[N]) -> y: f32:\n    y = sum(X[k])\n",
        "def f(X: f32[N]) -> y: f32:\n    y = sum[k](X[k])\n",
    ),
    Explanation(
        "TC008",
        "'^' is not a power",
        "Powers are written with `**`, which binds tighter than a minus on its left: -x ** 2 is -(x ** 2).",
        _body("Y[i] = X[i] ^ 2"),
        _body("Y[i] = X[i] ** 2"),
    ),
    Explanation(
        "TC009",
        "brackets that do not match",
        "A bracket is opened and never closed, or the other way round. Lines go on inside ( ) and [ ], so a "
        "forgotten one often shows on the next line.",
        _body("Y[i] = exp(X[i] + 1"),
        _body("Y[i] = exp(X[i] + 1)"),
    ),
    Explanation(
        "TC010",
        "an unknown name",
        "The name is no size, parameter, tensor or iterator here. Iterators are known inside the "
        "definition or the reduction that introduces them, tensors below their definition. Case counts.",
        _body("Y[i] = Z[i]"),
        _body("Y[i] = X[i]"),
    ),
    Explanation(
        "TC011",
        "a name with two meanings",
        "Sizes, parameters, tensors and iterators of a def share one name space, and each tensor is defined "
        "once. Two defs of a file cannot have one name either.",
        _body("A[i] = X[i]", "A[i] = 2 * X[i]", "Y[i] = A[i]"),
        _body("A[i] = X[i]", "B[i] = 2 * X[i]", "Y[i] = A[i] + B[i]"),
    ),
    Explanation(
        "TC012",
        "a shadowed iterator",
        "An iterator cannot be introduced again where it is in scope. Sibling reductions may use the same "
        "name; nested ones may not.",
        _body("Y[i] = X[i] / sum[i](X[i])"),
        _body("Y[i] = X[i] / sum[k](X[k])"),
    ),
    Explanation(
        "TC013",
        "a reserved word",
        "Keywords, element types, built-in functions and constants cannot be names.",
        _body("exp[i] = X[i]", "Y[i] = exp[i]"),
        _body("e[i] = X[i]", "Y[i] = e[i]"),
    ),
    Explanation(
        "TC014",
        "an unknown function",
        "No built-in function, no def of this file and no def of the standard library has this name.",
        _body("Y = sofmax(X)"),
        _body("Y = softmax(X)"),
    ),
    Explanation(
        "TC015",
        "an unknown entry",
        "`entry=` (or --entry) names a def that the file does not have. Without it the last def is meant.",
    ),
    Explanation(
        "TC016",
        "recursion",
        "A def cannot call itself, neither directly nor through others. What repeats along an axis is a scan.",
        _body("Y = f(X)"),
        "def f(X: f32[N]) -> Y: f32[N]:\n    scan[t] Y[t] = (Y[t-1] else 0) + X[t]\n",
    ),
    Explanation(
        "TC017",
        "a read above the definition",
        "A tensor is defined above its uses. Where elements depend on earlier ones, write a scan.",
        _body("Y[i] = A[i]", "A[i] = X[i]"),
        _body("A[i] = X[i]", "Y[i] = A[i]"),
    ),
    Explanation(
        "TC018",
        "a result that is never defined",
        "Every declared result is defined once in the body.",
        _body("A[i] = 2 * X[i]"),
        _body("Y[i] = 2 * X[i]"),
    ),
    Explanation(
        "TC019",
        "a wrong number of operands",
        "The call does not have as many operands as the function or the def takes.",
        _body("Y[i] = maximum(X[i])"),
        _body("Y[i] = maximum(X[i], 0)"),
    ),
    Explanation(
        "TC020",
        "a wrong parameter",
        "Parameters are given in brackets before the arguments, by name: f[stride=2](X). The def must have "
        "a parameter of that name; built-in functions have none.",
        "def f(X: f32[N]) -> Y: f32[N]:\n    Y = roll[by=2](X)\n",
        "def f(X: f32[N]) -> Y: f32[N]:\n    Y = roll[shift=2](X)\n",
    ),
    Explanation(
        "TC021",
        "brackets that must hold distinct names",
        "The left side of a definition and the brackets of a reduction hold distinct names, each with an "
        "optional range `name in lo:hi`. Positions are computed on the right side.",
        "def f(X: f32[N]) -> Y: f32[N, N]:\n    Y[i, i] = X[i]\n",
        "def f(X: f32[N]) -> Y: f32[N, N]:\n    Y[i, j] = where(i == j, X[i], 0)\n",
    ),
    Explanation(
        "TC022",
        "another version of the language",
        "The first line of the file asks for a version of the language that this tcomp does not know.",
        "tcomp 2\n" + _body("Y[i] = X[i]"),
        "tcomp 1\n" + _body("Y[i] = X[i]"),
    ),
    Explanation(
        "TC023",
        "a misplaced 'else'",
        "`else` follows a read directly and gives its value outside the tensor: (X[i-1] else 0). It takes one "
        "operand. To choose between two values write where(condition, a, b).",
        _body("Y[i] = (2 * X[i]) else 0"),
        _body("Y[i] = 2 * (X[i] else 0)"),
    ),
    Explanation(
        "TC024",
        "no def, or a def without a body",
        "A program is made of defs; the body of a def follows on indented lines.",
        "Y[i] = X[i]\n",
        _body("Y[i] = X[i]"),
    ),
    Explanation(
        "TC025",
        "a whole tensor where a number is needed",
        "In an expression with indices every tensor has its indices. Whole tensors are operands of calls "
        "only, and a def is called in a line of its own: T = f(X).",
        _body("Y[i] = 2 * X"),
        _body("Y[i] = 2 * X[i]"),
    ),
    Explanation(
        "TC026",
        "results and names that do not match",
        "A call of a def with several results is taken apart by as many names: (a, b) = f(X).",
        "def two(X: f32[N]) -> (a: f32[N], b: f32[N]):\n    a[i] = X[i]\n    b[i] = -X[i]\n\n"
        + _body("Y = two(X)"),
        "def two(X: f32[N]) -> (a: f32[N], b: f32[N]):\n    a[i] = X[i]\n    b[i] = -X[i]\n\n"
        + _body("(A, Y) = two(X)"),
    ),
    Explanation(
        "TC027",
        "what a scan cannot define",
        "Every definition in a scan has the scan's iterator alone as one of its indices on the left. Calls "
        "on whole tensors stand outside of scans.",
        _body("scan[t] Y[i] = X[i]"),
        _body("scan[t] Y[t] = (Y[t-1] else 0) + X[t]"),
    ),
    Explanation(
        "TC028",
        "a parameter that is not constant",
        "Parameters are integers, floats or truth values that are known when the program is compiled; each "
        "has a default.",
        "def f[n](X: f32[N]) -> Y: f32[N]:\n    Y[i] = n * X[i]\n",
        "def f[n=1](X: f32[N]) -> Y: f32[N]:\n    Y[i] = n * X[i]\n",
    ),
    Explanation(
        "TC029",
        "nesting that is too deep",
        "Expressions nest some hundreds of levels at most. Name a part of it in a definition of its own.",
    ),
    # -- types -----------------------------------------------------------------------------------------
    Explanation(
        "TC030",
        "an unknown or missing type",
        "The types are f64 f32 f16 bf16 f8e4m3 f8e5m2 i64 i32 i16 i8 i4 u64 u32 u16 u8 u4 bool; float, int "
        "and element stand for one type that the arguments tell. They are written name: type[sizes].",
        "def f(X: float32[N]) -> Y: f32[N]:\n    Y[i] = X[i]\n",
        _body("Y[i] = X[i]"),
    ),
    Explanation(
        "TC031",
        "a float stored as an integer",
        "Storing into a declared result converts bool to int to float, and between widths. A float becomes "
        "an integer only by cast, which truncates and saturates; NaN gives 0.",
        "def f(X: f32[N]) -> Y: i32[N]:\n    Y[i] = X[i]\n",
        "def f(X: f32[N]) -> Y: i32[N]:\n    Y[i] = cast(i32, round(X[i]))\n",
    ),
    Explanation(
        "TC032",
        "operands of a wrong type",
        "`and`, `or`, `not`, any, all and the condition of where take truth values; numbers are compared "
        "first, as in X[i] != 0.",
        _body("Y[i] = where(X[i], 1, 0)"),
        _body("Y[i] = where(X[i] != 0, 1, 0)"),
    ),
    Explanation(
        "TC033",
        "a constant that does not fit",
        "A literal takes the type of what stands beside it, and that type has no such value.",
        "def f(X: u32[N]) -> Y: u32[N]:\n    Y[i] = X[i] + -1\n",
        "def f(X: u32[N]) -> Y: u32[N]:\n    Y[i] = X[i] - 1\n",
    ),
    Explanation(
        "TC034",
        "an argument of another element type",
        "The def declares another element type than the argument has. Arguments are not converted by "
        "themselves; float, int and element stand for one type in a call.",
        "def g(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i]\n\n"
        "def f(X: f16[N]) -> Y: f32[N]:\n    Y = g(X)\n",
        "def g(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i]\n\n"
        "def f(X: f16[N]) -> Y: f32[N]:\n    Y = g(cast(f32, X))\n",
    ),
    Explanation(
        "TC035",
        "two types for one generic",
        "float, int and element stand for one concrete type in a def. The arguments of this call tell two, "
        "or one that the generic cannot be.",
    ),
    Explanation(
        "TC036",
        "an index that is no integer",
        "Indices are integers. '/' gives a float; '//' gives the floor.",
        "def f(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i / 2]\n",
        "def f(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i // 2]\n",
    ),
    Explanation(
        "TC037",
        "a number stored as a truth value",
        "Numbers do not become truth values by themselves.",
        "def f(X: f32[N]) -> Y: bool[N]:\n    Y[i] = X[i]\n",
        "def f(X: f32[N]) -> Y: bool[N]:\n    Y[i] = X[i] != 0\n",
    ),
    Explanation(
        "TC038",
        "a recurrence without a type",
        "The type of a local that a scan defines follows from its right side, which reads it. Here no type "
        "fits; cast the right side, or declare the tensor as a result.",
    ),
    Explanation(
        "TC039",
        "a parameter of another type",
        "The default of a parameter tells its type: an integer, a float or a truth value.",
        "def f(X: f32[N]) -> Y: f32[N]:\n    Y = roll[shift=0.5](X)\n",
        "def f(X: f32[N]) -> Y: f32[N]:\n    Y = roll[shift=5](X)\n",
    ),
    # -- ranges, indices and sizes ---------------------------------------------------------------------
    Explanation(
        "TC050",
        "an unknown range",
        "The range of an iterator is given (i in lo:hi), or that of a declared result's axis, or that of "
        "the axes at which the iterator alone is the index. Here there is none of them.",
        "def f(X: f32[N]) -> Y: f32[N]:\n    A[i] = X[i // 2]\n    Y[i] = A[i]\n",
        "def f(X: f32[N]) -> Y: f32[N]:\n    A[i in 0:N] = X[i // 2]\n    Y[i] = A[i]\n",
    ),
    Explanation(
        "TC051",
        "contradicting ranges",
        "The iterator stands alone at axes of different ranges. Give its range, and reads only have to stay "
        "inside.",
        "def f(X: f32[4], Z: f32[5]) -> y: f32:\n    y = sum[i](X[i] * Z[i])\n",
        "def f(X: f32[4], Z: f32[5]) -> y: f32:\n    y = sum[i in 0:4](X[i] * Z[i])\n",
    ),
    Explanation(
        "TC052",
        "an index that is not affine",
        "An index is affine in iterators with constant coefficients, with // and % by constants, or contains "
        "reads of integer tensors. There are no slices.",
        "def f(X: f32[9]) -> Y: f32[3]:\n    Y[i] = X[i * i]\n",
        "def f(X: f32[9]) -> Y: f32[3]:\n    Y[i] = X[3 * i]\n",
    ),
    Explanation(
        "TC053",
        "a wrong number of indices",
        "A tensor has one index for each of its axes; one without axes has no brackets.",
        "def f(X: f32[M, N]) -> Y: f32[M]:\n    Y[i] = X[i]\n",
        "def f(X: f32[M, N]) -> Y: f32[M]:\n    Y[i] = sum[j](X[i, j])\n",
    ),
    Explanation(
        "TC054",
        "a size or a range that is no constant",
        "Sizes and ranges are made of integers, sizes and integer parameters with + - * // %. A size is bound "
        "where it stands alone, first in the signature.",
        "def f(X: f32[2*N], Z: f32[N]) -> Y: f32[N]:\n    Y[i] = X[2*i] + Z[i]\n",
        "def f(Z: f32[N], X: f32[2*N]) -> Y: f32[N]:\n    Y[i] = X[2*i] + Z[i]\n",
    ),
    Explanation(
        "TC056",
        "a result that is not defined everywhere",
        "A result is defined over the whole of its declared axes, which start at 0.",
        _body("Y[i in 1:N] = X[i]"),
        _body("Y[i] = where(i >= 1, X[i], 0)"),
    ),
    Explanation(
        "TC057",
        "a scan that reads the future",
        "A scan goes up. At its own position it reads what the text has defined above; all other reads of "
        "its tensors are at positions that are provably earlier.",
        "def f(X: f32[T]) -> h: f32[T]:\n    scan[t] h[t] = (h[t+1] else 0) + X[t]\n",
        "def f(X: f32[T]) -> h: f32[T]:\n    scan[t] h[t] = (h[t-1] else 0) + X[t]\n",
    ),
    Explanation(
        "TC058",
        "a scan without a beginning",
        "The first steps of a scan have no earlier positions: say what they read instead.",
        "def f(X: f32[T]) -> h: f32[T]:\n    scan[t] h[t] = h[t-1] + X[t]\n",
        "def f(X: f32[T]) -> h: f32[T]:\n    scan[t] h[t] = (h[t-1] else 0) + X[t]\n",
    ),
    Explanation(
        "TC059",
        "shapes that do not agree",
        "Operands of a function of whole tensors have one shape, and the arguments of a def the sizes that "
        "its signature relates.",
        "def f(X: f32[2, 3], Z: f32[4, 2]) -> Y: f32[2, 2]:\n    Y = matmul(X, Z)\n",
        "def f(X: f32[2, 3], Z: f32[3, 2]) -> Y: f32[2, 2]:\n    Y = matmul(X, Z)\n",
    ),
    Explanation(
        "TC060",
        "a read that can leave its tensor",
        "Every position that is read must be inside, or the read says what it is outside: (X[i+1] else 0). "
        "A range that ends earlier helps as well.",
        _body("Y[i] = X[i + 1]"),
        _body("Y[i] = X[i + 1] else 0"),
    ),
    Explanation(
        "TC061",
        "a negative size or range",
        "An axis has at least no elements. A range lo:hi has the positions lo to hi - 1.",
        "def f(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i] + sum[k in 2:1](1)\n",
        "def f(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i] + sum[k in 1:2](1)\n",
    ),
    Explanation(
        "TC062",
        "a tensor that is too large",
        "With these sizes a tensor would take more than 2**63 - 1 bytes.",
    ),
    Explanation(
        "TC063",
        "a reduction over nothing",
        "Over an empty range sum is 0, prod 1, any false and all true; mean, max, min, argmax and argmin have "
        "no value.",
        "def f(X: f32[0]) -> y: f32:\n    y = mean[k](X[k])\n",
        "def f(X: f32[0]) -> y: f32:\n    y = sum[k](X[k])\n",
    ),
    Explanation(
        "TC064",
        "a division by zero in a size",
        "With the sizes of this call an expression of sizes divides by zero.",
    ),
    Explanation(
        "TC065",
        "sizes that are missing or unknown",
        "A program is compiled for concrete sizes: each is given once, as a non-negative integer.",
    ),
    Explanation(
        "TC066",
        "a division by zero",
        "An index, a size or a range divides by the constant 0.",
        _body("Y[i] = X[i // 0]"),
        _body("Y[i] = X[i // 2]"),
    ),
    Explanation(
        "TC067",
        "argmax over several iterators",
        "argmax and argmin take one iterator and give its value at the first extremum.",
        "def f(X: f32[M, N]) -> y: i64:\n    y = argmax[i, j](X[i, j])\n",
        "def f(X: f32[M, N]) -> y: i64[M]:\n    y[i] = argmax[j](X[i, j])\n",
    ),
    Explanation(
        "TC068",
        "batch axes that do not agree",
        "Extra leading axes of the arguments of a call are batched: those that have them have the same ones. "
        "An argument without them is shared.",
        "def f(X: f32[2, M, K], Z: f32[3, K, N]) -> Y: f32[2, M, N]:\n    Y = matmul(X, Z)\n",
        "def f(X: f32[2, M, K], Z: f32[2, K, N]) -> Y: f32[2, M, N]:\n    Y = matmul(X, Z)\n",
    ),
    # -- calls -----------------------------------------------------------------------------------------
    Explanation(
        "TC070",
        "too many arguments",
        "A compiled function takes one argument for each input of its signature, in order or by name.",
    ),
    Explanation(
        "TC071",
        "arguments are missing",
        "Every input of the signature needs an argument; weights may be bound once with constants=.",
    ),
    Explanation(
        "TC072",
        "an unknown argument",
        "The signature has no input, size or parameter of this name.",
    ),
    Explanation(
        "TC073",
        "an argument given twice",
        "The same input or size is given in two ways that do not agree.",
    ),
    Explanation(
        "TC074",
        "an argument of a wrong type",
        "Arguments are not converted: the element type must be the declared one.",
        'f(np.zeros(4))  # float64 for "X: f32[N]"',
        "f(np.zeros(4, np.float32))",
    ),
    Explanation(
        "TC075",
        "an argument of a wrong rank",
        "The array has more or fewer axes than the signature declares.",
    ),
    Explanation(
        "TC076",
        "an argument of a wrong size",
        "An axis of the array does not have the size that the signature asks for, or that another argument "
        "has bound.",
    ),
    Explanation(
        "TC077",
        "something that is no array",
        "Arrays are NumPy arrays, or objects with DLPack or the buffer protocol; scalars are numbers.",
    ),
    Explanation(
        "TC078",
        "a wrong number of outputs",
        "out= is one array for one result, and a tuple with one for each of several results.",
    ),
    Explanation(
        "TC079",
        "an option or an output that cannot be used",
        "The message says which one, and what it may be. An array given as out= is writeable.",
    ),
    Explanation(
        "TC080",
        "an output that overlaps",
        "out= shares memory with an input or with another output, so that results would destroy what is "
        "still to be read.",
        "f(x, out=x)",
        "f(x, out=np.empty_like(x))",
    ),
    Explanation(
        "TC082",
        "an array on another device",
        "Kernels run on the CPU; copy the array to host memory first.",
    ),
    Explanation(
        "TC083",
        "a size that nothing tells",
        "The size stands alone in no argument, so that it must be given, as an integer that is not negative.",
        'tcomp.compile("def f() -> y: i32[N]:\\n    y[i] = i\\n")()',
        'tcomp.compile("def f() -> y: i32[N]:\\n    y[i] = i\\n", sizes={"N": 8})()',
    ),
    Explanation(
        "TC084",
        "two types for one generic",
        "float and int stand for one concrete type in a def; the arguments of this call have two.",
    ),
    Explanation(
        "TC085",
        "a wrong call of einsum",
        "The subscripts, operands or options do not fit numpy.einsum's call.",
        'tcomp.einsum("ij,jk->il", A, B)',
        'tcomp.einsum("ij,jk->ik", A, B)',
    ),
    # -- files, settings, cache, internal errors -------------------------------------------------------
    Explanation(
        "TC090",
        "a setting that cannot be understood",
        "An environment variable that begins with TCOMP_ has a value of another kind.",
    ),
    Explanation(
        "TC091",
        "a program or artifact that cannot be read",
        "Text has a newline or begins with 'def'; any other string is a path, which must exist and hold UTF-8 "
        "text, or a compiled artifact where one is loaded.",
    ),
    Explanation(
        "TC092",
        "a file that cannot be read or written",
        "The message names the file and the cause that the system gives.",
    ),
    Explanation(
        "TC093",
        "a tuning database from a newer tcomp",
        "The file has a layout that this version does not know. Upgrade, or export JSON lines there and "
        "merge them here.",
    ),
    Explanation(
        "TC094",
        "a file that is no tuning database",
        "The file is something else; nothing was changed in it.",
    ),
    Explanation(
        "TC095",
        "a record or an export that does not exist",
        "The record's identity is unknown or not unique, or the export format needs a package that is not "
        "installed.",
    ),
    Explanation(
        "TC096",
        "a proof log that does not replay",
        "The file is no derivation log, or a step of it does not follow from the one before.",
    ),
    Explanation(
        "TC097",
        "a cost model that cannot be made or read",
        "There are too few measurements to learn from, or the model's file is of another version.",
    ),
    Explanation(
        "TC098",
        "code for another machine",
        "Compiled code runs on the kind of processor and system that it was made for, and needs the "
        "instructions that were asked for then. Compile it on this machine, or for an older target.",
    ),
    Explanation(
        "TC099",
        "an internal error",
        "tcomp itself is wrong. Please report it with the program and the output of TCOMP_DEBUG=1; setting "
        "TCOMP_DUMP=dir keeps every stage for the report.",
    ),
)

EXPLANATIONS: dict[str, Explanation] = {row.code: row for row in _ROWS}
