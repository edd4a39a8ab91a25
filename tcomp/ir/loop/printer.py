"""Loop programs as text to read (`f.dump("loops")`); a value used twice is printed once, as `t1 := ...`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Buffer,
    Check,
    Const,
    Declare,
    Expr,
    For,
    Gather,
    Horizontal,
    If,
    IntValue,
    Kernel,
    Load,
    Local,
    Lookup,
    Module,
    Op,
    Prefetch,
    Repeat,
    Shuffle,
    Space,
    Stmt,
    Store,
    postorder,
)
from tcomp.ops import OPS

_INDENT = "    "


def print_module(module: Module) -> str:
    """The whole module: its arguments, its kernels in order, its faults."""
    arguments = ", ".join(_buffer(b) for b in module.arguments)
    lines = [f"module {module.name}({arguments})"]
    lines += [f"fault {n}: {text}" for n, text in enumerate(module.faults, 1)]
    return "\n\n".join(["\n".join(lines), *map(print_function, module.kernels)]) + "\n"


def print_function(function: Kernel) -> str:
    """One kernel; what repeats another one names it."""
    if isinstance(function, Repeat):
        pairs = zip(function.of.buffers, function.buffers, strict=True)
        places = ", ".join(f"{a.name} = {b.name}" for a, b in pairs if a is not b)
        return f"kernel {function.name} = {function.of.name}({places})"
    head = f"kernel {function.name}({', '.join(b.name for b in function.buffers)}):"
    own = [b for b in function.buffers if b.space is not Space.ARGUMENT]
    lines = [f"{_INDENT}{b.space.value} {_buffer(b)}" for b in own]
    return "\n".join([head, *lines, *print_block(function.body, 1)])


def print_block(body: tuple[Stmt, ...], depth: int = 0) -> list[str]:
    """Statements, one or more lines each."""
    printer = _Printer()
    return [_INDENT * level + text for level, text in printer.block(body, depth)] or [
        _INDENT * depth + "pass"
    ]


def print_expression(expr: Expr) -> str:
    """An expression as a tree."""
    return _Printer().tree(expr, {})


def _buffer(buffer: Buffer) -> str:
    return f"{buffer.name}: {buffer.dtype}[{buffer.extent}]"


class _Printer:
    """Numbers the values that are used more than once."""

    def __init__(self) -> None:
        self._count = 0

    def block(self, body: tuple[Stmt, ...], depth: int) -> Iterator[tuple[int, str]]:
        for stmt in body:
            yield from self._statement(stmt, depth)

    def _statement(self, stmt: Stmt, depth: int) -> Iterator[tuple[int, str]]:
        match stmt:
            case Declare(local, value):
                kind = _type(local)
                yield from self._with(depth, lambda v: f"var {local.name}: {kind} = {v[0]}", value)
            case Assign(local, value):
                yield from self._with(depth, lambda v: f"{local.name} = {v[0]}", value)
            case Store():
                yield from self._store(stmt, depth)
            case Prefetch(buffer, index, level, write):
                purpose = " to write" if write else ""
                yield depth, f"prefetch {buffer.name}[{index}] into L{level}{purpose}"
            case Check(ok, fault):
                yield from self._with(depth, lambda v: f"check {v[0]} else fault {fault}", ok)
            case If(condition, then, otherwise):
                yield from self._with(depth, lambda v: f"if {v[0]}:", condition)
                yield from self.block(then, depth + 1)
                if otherwise:
                    yield depth, "else:"
                    yield from self.block(otherwise, depth + 1)
            case For():
                yield depth, self._loop_head(stmt)
                yield from self.block(stmt.body, depth + 1)

    def _loop_head(self, loop: For) -> str:
        step = f" step {loop.step}" if loop.step != 1 else ""
        word = "parallel for" if loop.parallel else "for"
        grain = f" grain {loop.grain}" if loop.parallel else ""
        return f"{word} {loop.var.name} in {loop.lo}:{loop.hi}{step}{grain}:"

    def _store(self, stmt: Store, depth: int) -> Iterator[tuple[int, str]]:
        place = f"{stmt.buffer.name}[{_range(stmt.index, stmt.value.lanes, stmt.stride)}]"
        roots = (stmt.value,) if stmt.mask is None else (stmt.value, stmt.mask)
        yield from self._with(
            depth, lambda v: f"{place} = {v[0]}" + (f" where {v[1]}" if len(v) > 1 else ""), *roots
        )

    def _with(
        self, depth: int, line: Callable[[list[str]], str], *roots: Expr
    ) -> Iterator[tuple[int, str]]:
        """The lines of the shared values, then the line itself."""
        names: dict[Expr, str] = {}
        for node in _shared(roots):
            text = self.tree(node, names)
            self._count += 1
            names[node] = f"t{self._count}"
            yield depth, f"{names[node]} := {text}"
        yield depth, line([self.tree(root, names) for root in roots])

    def tree(self, root: Expr, names: dict[Expr, str]) -> str:
        """An expression, with the names of values already printed."""
        if root in names:
            return names[root]
        texts: dict[Expr, str] = dict(names)
        for node in postorder(root):
            if node not in texts:
                texts[node] = _node(node, texts)
        return texts[root]


def _shared(roots: tuple[Expr, ...]) -> list[Expr]:
    """Operations and reads with more than one use."""
    nodes = postorder(*roots)
    uses = Counter(child for node in nodes for child in node.children())
    named = (Op, Load, Gather, Lookup, Shuffle, Horizontal)
    return [n for n in nodes if uses[n] > 1 and isinstance(n, named)]


def _node(node: Expr, texts: dict[Expr, str]) -> str:
    match node:
        case Const(value, dtype, lanes):
            return f"{value!r}:{dtype}" + (f"x{lanes}" if lanes > 1 else "")
        case IntValue(base, dtype, lanes, stride):
            return f"{dtype}({_range(base, lanes, stride)})"
        case Local(name):
            return name
        case Load(buffer, index, lanes, stride, mask, word):
            guard = "" if mask is None else f" where {texts[mask]}"
            kind = "" if word is None else f" as {word}"
            return f"{buffer.name}[{_range(index, lanes, stride)}{kind}{guard}]"
        case Gather(buffer, base, index, mask):
            guard = "" if mask is None else f" where {texts[mask]}"
            return f"{buffer.name}[{base} + {texts[index]}{guard}]"
        case Broadcast(value, lanes):
            return f"splat{lanes}({texts[value]})"
        case Horizontal(op, value):
            return f"fold_{op}({texts[value]})"
        case Lookup(values, index):
            return f"lookup({texts[index]}; {', '.join(map(repr, values))})"
        case Shuffle(left, right, picks):
            return f"shuffle({texts[left]}, {texts[right]}; {', '.join(map(str, picks))})"
        case Op():
            return _operation(node, [texts[a] for a in node.args])
    raise TypeError(type(node))


def _operation(node: Op, args: list[str]) -> str:
    if node.op in ("cast", "bitcast"):
        return f"{node.op}({node.dtype}, {args[0]})"
    symbol = OPS[node.op].symbol
    if symbol and len(args) == 2:
        return f"({args[0]} {symbol} {args[1]})"
    return f"{node.op}({', '.join(args)})"


def _range(index: Int, lanes: int, stride: int) -> str:
    if lanes == 1:
        return str(index)
    return f"{index} : {lanes}" + (f" by {stride}" if stride != 1 else "")


def _type(local: Local) -> str:
    return str(local.dtype) if local.lanes == 1 else f"{local.dtype}x{local.lanes}"
