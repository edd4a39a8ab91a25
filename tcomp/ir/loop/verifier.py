"""Whether a loop module is well formed: names, types, lanes, and the rules of parallel loops.

A module that passes can be printed as LLVM IR and run; whether its accesses stay inside its buffers is
for the loop interpreter and the tests to say.
"""

from __future__ import annotations

from collections.abc import Iterable

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import i32, i64
from tcomp.ir.integer import Int, Value
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Buffer,
    Check,
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
    LoopVar,
    Module,
    Op,
    Prefetch,
    Shuffle,
    Space,
    Stmt,
    Store,
    postorder,
)
from tcomp.ops import OPS, result_type


def verify_module(module: Module) -> None:
    """Raises InternalError naming the kernel and what is wrong in it."""
    names = [b.name for b in module.arguments]
    _require(len(set(names)) == len(names), f"module {module.name}: two arguments of one name")
    for buffer in module.arguments:
        _require(buffer.space is Space.ARGUMENT, f"argument '{buffer.name}' in another space")
    for kernel in module.kernels:
        try:
            _Verifier(module, kernel).run()
        except InternalError as error:
            message = f"kernel {kernel.name}: {error.message}"
            raise InternalError(message, code=error.code) from None


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InternalError(message, code="TC099")


class _Verifier:
    """What is in scope at a point of a kernel."""

    def __init__(self, module: Module, kernel: Kernel) -> None:
        self._module, self._kernel = module, kernel
        self._buffers = frozenset(kernel.buffers)
        self._locals: dict[str, Local] = {}
        self._vars: set[LoopVar] = set()
        self._fixed: frozenset[str] | None = None  # locals from outside the parallel loop around
        self._private: dict[Buffer, bool] = {}  # whether it is used inside a parallel loop
        self._typed: set[Expr] = set()  # expressions whose types have been checked

    def run(self) -> None:
        names = [b.name for b in self._kernel.buffers]
        _require(len(set(names)) == len(names), "two buffers of one name")
        for buffer in self._kernel.buffers:
            _require(not buffer.dtype.is_packed, f"buffer '{buffer.name}' has a packed type")
            known = buffer.space is not Space.ARGUMENT or buffer in self._module.arguments
            _require(known, f"buffer '{buffer.name}' is no argument of the module")
        self._block(self._kernel.body)

    # -- statements --------------------------------------------------------------------------------

    def _block(self, body: tuple[Stmt, ...]) -> None:
        outside = dict(self._locals)
        for stmt in body:
            self._statement(stmt)
        self._locals = outside

    def _statement(self, stmt: Stmt) -> None:
        match stmt:
            case Declare(local, value):
                _require(local.name not in self._locals, f"'{local.name}' is declared twice")
                self._value(value, f"var {local.name}")
                self._same_type(local, value)
                self._locals[local.name] = local
            case Assign(local, value):
                self._value(value, f"assignment to {local.name}")
                self._assignable(local)
                self._same_type(local, value)
            case Store():
                self._store(stmt)
            case Prefetch(buffer, index, level, _):
                self._index(index, f"prefetch of {buffer.name}")
                self._use(buffer, f"prefetch of {buffer.name}")
                _require(level in (1, 2), f"prefetch into level {level}")
            case If(condition, then, otherwise):
                self._value(condition, "if")
                _require(condition.dtype.is_bool and condition.lanes == 1, "if needs one bool")
                self._block(then)
                self._block(otherwise)
            case Check(ok, fault):
                self._value(ok, "check")
                _require(ok.dtype.is_bool, "check needs a bool")
                _require(1 <= fault <= len(self._module.faults), f"unknown fault {fault}")
            case For():
                self._loop(stmt)

    def _assignable(self, local: Local) -> None:
        _require(self._locals.get(local.name) is local, f"'{local.name}' is not declared")
        inside = self._fixed is None or local.name not in self._fixed
        _require(inside, f"a parallel loop assigns '{local.name}' from outside")

    def _same_type(self, local: Local, value: Expr) -> None:
        fits = local.dtype is value.dtype and local.lanes == value.lanes
        _require(fits, f"'{local.name}' is {_type(local)}, its value {_type(value)}")

    def _store(self, stmt: Store) -> None:
        where = f"store to {stmt.buffer.name}"
        self._value(stmt.value, where)
        self._index(stmt.index, where)
        self._use(stmt.buffer, where)
        fits = stmt.value.dtype is stmt.buffer.dtype
        _require(fits, f"{where}: value is {stmt.value.dtype}, elements are {stmt.buffer.dtype}")
        if stmt.mask is not None:
            self._value(stmt.mask, where)
            self._is_mask(stmt.mask, stmt.value.lanes, where)

    def _loop(self, loop: For) -> None:
        where = f"loop {loop.var.name}"
        self._index(loop.lo, where)
        self._index(loop.hi, where)
        _require(loop.var not in self._vars, f"{where} is inside itself")
        _require(loop.step >= 1 and loop.grain >= 1, f"{where}: step and grain start at 1")
        if loop.lo.is_constant and loop.hi.is_constant and loop.lo.constant < loop.hi.constant:
            last = range(loop.lo.constant, loop.hi.constant, loop.step)[-1]
            fits = loop.var.lo <= loop.lo.constant and last <= loop.var.last
            _require(fits, f"{where} leaves the bounds of its variable")
        self._vars.add(loop.var)
        if loop.parallel:
            _require(self._fixed is None, f"{where}: a parallel loop inside another")
            self._fixed = frozenset(self._locals)
            self._block(loop.body)
            self._fixed = None
        else:
            self._block(loop.body)
        self._vars.remove(loop.var)

    # -- expressions -------------------------------------------------------------------------------

    def _value(self, root: Expr, where: str) -> None:
        for node in postorder(root):
            self._scope(node, where)
            if node not in self._typed:
                self._types(node, where)
                self._typed.add(node)

    def _scope(self, node: Expr, where: str) -> None:
        match node:
            case Local(name):
                _require(self._locals.get(name) is node, f"{where}: '{name}' is not declared")
            case Load(buffer, index, _, _, _) | Gather(buffer, index, _, _):
                self._use(buffer, where)
                self._variables(index, where)
            case IntValue(base, _, _, _):
                self._variables(base, where)

    def _index(self, index: Int, where: str) -> None:
        self._variables(index, where)
        for atom in index.leaves():
            if isinstance(atom, Value):
                self._value(atom.expr, where)

    def _variables(self, index: Int, where: str) -> None:
        for atom in index.leaves():
            if isinstance(atom, Value):
                one = atom.expr.lanes == 1 and (atom.expr.dtype.is_integer)
                _require(one, f"{where}: an address holds {_type(atom.expr)}")
            else:
                known = isinstance(atom, LoopVar) and atom in self._vars
                _require(known, f"{where}: '{atom.key}' is no loop variable here")

    def _use(self, buffer: Buffer, where: str) -> None:
        _require(buffer in self._buffers, f"{where}: kernel does not list '{buffer.name}'")
        if buffer.space is Space.PRIVATE:
            inside = self._fixed is not None
            same = self._private.setdefault(buffer, inside) is inside
            _require(same, f"{where}: private '{buffer.name}' is used in and out of parallel loops")

    def _types(self, node: Expr, where: str) -> None:
        match node:
            case Op():
                self._operation(node, where)
            case Load(buffer, _, lanes, _, mask, word):
                if mask is not None:
                    self._is_mask(mask, lanes, where)
                narrow = buffer.dtype.bits
                whole = word is None or (narrow < word.bits and word.bits % narrow == 0)
                _require(whole, f"{where}: no {word} is made of {buffer.dtype}")
            case Gather(_, _, index, mask):
                _require(index.dtype in (i32, i64), f"{where}: gather by {index.dtype}")
                if mask is not None:
                    self._is_mask(mask, index.lanes, where)
            case Broadcast(value, lanes):
                _require(value.lanes == 1 and lanes >= 1, f"{where}: broadcast of a vector")
            case Horizontal(op, _):
                _require(OPS[op].arity == 2, f"{where}: fold by '{op}'")
            case Lookup(values, index):
                fits = index.dtype is i32 and len(values) == 16
                _require(fits, f"{where}: {len(values)} values looked up by {_type(index)}")
            case Shuffle(left, right, picks):
                same = left.lanes == right.lanes and left.dtype is right.dtype
                inside = bool(picks) and all(0 <= p < 2 * left.lanes for p in picks)
                _require(same and inside, f"{where}: shuffle of {_type(left)} and {_type(right)}")

    def _operation(self, node: Op, where: str) -> None:
        lanes = {a.lanes for a in node.args}
        _require(len(lanes) == 1, f"{where}: '{node.op}' on different numbers of lanes")
        try:
            result = result_type(node.op, tuple(a.dtype for a in node.args), node.dtype)
        except (KeyError, TypeError) as error:
            if not _plain_logic(node):
                raise InternalError(f"{where}: {error}", code="TC099") from None
            result = node.dtype
        _require(result is node.dtype, f"{where}: '{node.op}' gives {result}, not {node.dtype}")
        if node.op == "bitcast":
            same = node.args[0].dtype.bits == node.dtype.bits
            _require(same, f"{where}: bitcast from {node.args[0].dtype} to {node.dtype}")

    def _is_mask(self, mask: Expr, lanes: int, where: str) -> None:
        fits = mask.dtype.is_bool and mask.lanes == lanes
        _require(fits, f"{where}: mask is {_type(mask)} for {lanes} lanes")


def _plain_logic(node: Op) -> bool:
    """Comparing bools for equality is allowed in loop programs."""
    return node.op in ("eq", "ne") and node.dtype.is_bool and _all_bool(a for a in node.args)


def _all_bool(args: Iterable[Expr]) -> bool:
    return all(a.dtype.is_bool for a in args)


def _type(expr: Expr) -> str:
    return str(expr.dtype) if expr.lanes == 1 else f"{expr.dtype}x{expr.lanes}"
