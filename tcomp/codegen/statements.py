"""Statements as basic blocks. Locals are SSA values: a phi where a loop or a branch changes one."""

from __future__ import annotations

from collections.abc import Iterable

from tcomp.codegen.conversions import bitcast
from tcomp.codegen.function import FunctionEmitter
from tcomp.codegen.integers import scaled
from tcomp.codegen.memory import emit_prefetch, emit_store
from tcomp.codegen.ssa import FunctionBuilder, Scope, ScopeKind, Ssa
from tcomp.codegen.types import vector
from tcomp.ir.loop.nodes import (
    Assign,
    Buffer,
    Check,
    Declare,
    Expr,
    For,
    If,
    Prefetch,
    Stmt,
    Store,
)

# Where `status` is: in { ptr parallel, ptr pool, i32 threads, i32 status }.
STATUS = "getelementptr { ptr, ptr, i32, i32 }, ptr %context, i64 0, i32 3"


def emit_block(
    emitter: FunctionEmitter, body: tuple[Stmt, ...], tile: frozenset[str] = frozenset()
) -> None:
    """Emits statements in order; a fence ends each round of assignments to the locals of a tile, and each of
    integers is one itself."""
    left = set(tile)
    for stmt in body:
        if tile and not left:
            emitter.builder.fence()
            left = set(tile)
        match stmt:
            case Declare(local, value) | Assign(local, value):
                found = emitter.value(value)
                own = local.name in tile and not local.dtype.is_float
                emitter.environment[local.name] = _in_turn(emitter, found) if own else found
                left.discard(local.name)
            case Store():
                emit_store(emitter, stmt)
            case Prefetch():
                emit_prefetch(emitter, stmt)
            case If():
                _emit_if(emitter, stmt)
            case For(parallel=True):
                from tcomp.codegen.parallel import emit_parallel

                emit_parallel(emitter, stmt)
            case For():
                emit_loop(emitter, stmt, emitter.integer(stmt.lo), emitter.integer(stmt.hi))
            case Check(ok, fault):
                _emit_check(emitter, ok, fault)


# -- facts about statements ----------------------------------------------------------------------------


def assigned(body: Iterable[Stmt]) -> set[str]:
    """Locals that a block assigns and does not declare."""
    names: set[str] = set()
    declared: set[str] = set()
    for stmt in body:
        match stmt:
            case Declare(local, _):
                declared.add(local.name)
            case Assign(local, _):
                names.add(local.name)
            case If(_, then, otherwise):
                names |= assigned(then) | assigned(otherwise)
            case For():
                names |= assigned(stmt.body)
    return names - declared


def stored(body: Iterable[Stmt]) -> frozenset[Buffer]:
    """Buffers that a block writes."""
    found: set[Buffer] = set()
    for stmt in body:
        match stmt:
            case Store():
                found.add(stmt.buffer)
            case If(_, then, otherwise):
                found |= stored(then) | stored(otherwise)
            case For():
                found |= stored(stmt.body)
    return frozenset(found)


def is_innermost(body: Iterable[Stmt]) -> bool:
    """Whether a loop with this body holds no other loop."""
    for stmt in body:
        match stmt:
            case For():
                return False
            case If(_, then, otherwise) if not (is_innermost(then) and is_innermost(otherwise)):
                return False
    return True


def runs(loop: For) -> bool:
    """Whether the loop certainly runs at least once."""
    low, _ = (loop.hi - loop.lo).bounds()
    return low is not None and low > 0


# -- loops ---------------------------------------------------------------------------------------------


def emit_loop(emitter: FunctionEmitter, loop: For, lo: Ssa, hi: Ssa) -> None:
    """A loop that is tested at its end, behind a guard where it may not run at all."""
    names = sorted(assigned(loop.body) & emitter.environment.keys())
    if runs(loop):
        _emit_guarded(emitter, loop, lo, hi, names)
        return
    builder = emitter.builder
    test = builder.pure(f"icmp slt {lo.typed}, {hi}", "i1", [lo, hi])
    before = {name: emitter.environment[name] for name in names}
    enter, join = builder.fresh("enter"), builder.fresh("join")
    skipped = builder.scope.block
    with builder.inside(ScopeKind.BRANCH, enter) as guard:
        _emit_guarded(emitter, loop, lo, hi, names)
        builder.line(f"br label %{join}")
    builder.line(f"br i1 {test}, label %{enter}, label %{join}")
    builder.scope.lines.append(f"{enter}:")
    builder.splice(guard)
    builder.start_block(join)
    for name in names:
        _join(emitter, name, [(emitter.environment[name], guard.block), (before[name], skipped)])


def _emit_guarded(emitter: FunctionEmitter, loop: For, lo: Ssa, hi: Ssa, names: list[str]) -> None:
    """The loop itself, known to run."""
    builder = emitter.builder
    outer, entered = dict(emitter.environment), builder.scope.block
    head, done = builder.fresh("loop"), builder.fresh("done")
    writes = stored(loop.body)
    builder.wrote(writes)
    with builder.inside(ScopeKind.LOOP, head, writes) as scope:
        counter = Ssa(f"%{builder.fresh(loop.var.name)}", "i64", scope)
        multiples = emitter.enter_loop(loop.var, counter, innermost=is_innermost(loop.body))
        heads = {n: Ssa(f"%{builder.fresh(n)}", outer[n].type, scope) for n in names}
        emitter.environment.update(heads)
        emit_block(emitter, loop.body, _register_tile(emitter, outer, names))
        following = _advance(builder, counter, loop.step)
        steps = {m: _advance(builder, m, loop.step * f) for f, m in multiples.items()}
        test = f"%{builder.fresh('more')}"
        builder.line(f"{test} = icmp slt i64 {following}, {hi}")
        builder.line(f"br i1 {test}, label %{head}, label %{done}")
    builder.wrote(writes)
    phis = [_phi(counter, [(lo.name, entered), (following, scope.block)])]
    for factor, multiple in multiples.items():
        start = scaled(emitter, lo, factor)
        phis.append(_phi(multiple, [(start.name, entered), (steps[multiple], scope.block)]))
    phis += [
        _phi(heads[n], [(outer[n].name, entered), (emitter.environment[n].name, scope.block)])
        for n in names
    ]
    builder.line(f"br label %{head}")
    builder.scope.lines.append(f"{head}:")
    builder.scope.lines.extend(phis)
    builder.splice(scope)
    builder.start_block(done)
    emitter.leave_loop(loop.var)
    last = {n: emitter.environment[n] for n in names}
    emitter.environment = outer
    for name, value in last.items():  # defined in the loop, available after it
        emitter.environment[name] = _rescoped(value, builder.scope)


def _advance(builder: FunctionBuilder, counter: Ssa, step: int) -> str:
    """A counter's value in the next iteration.

    The `freeze` costs no instruction; it keeps LLVM's loop strength reduction from recognising the
    counter. That pass took 1 to 4 seconds over a tile with many addresses (0.07 without it), and its
    code was longer in most kernels: invariant parts and multiples of counters have been taken care of already.
    """
    builder.line(f"{counter}.raw = add nsw i64 {counter}, {step}")
    builder.line(f"{counter}.next = freeze i64 {counter}.raw")
    return f"{counter}.next"


def _register_tile(
    emitter: FunctionEmitter, before: dict[str, Ssa], names: list[str]
) -> frozenset[str]:
    """A loop's vector accumulators, where they fill most of the registers."""
    vectors = frozenset(n for n in names if before[n].type.startswith("<"))
    crowded = 2 * len(vectors) >= emitter.target.vector_registers
    return vectors if crowded else frozenset()


def _in_turn(emitter: FunctionEmitter, total: Ssa) -> Ssa:
    """Integer sums to which LLVM adds nothing before its turn: it would add products of several positions to each
    other, and keep them where there are no registers (1024 cubed of i8 with AVX2: 7.4 ms so, 5.4 in turn)."""
    count, _, element = total.type[1:-1].split(" ")
    words, odd = divmod(int(count) * int(element[1:]), 32)
    if odd:
        return total
    bits = bitcast(emitter.builder, total, vector("float", words))
    fenced = emitter.builder.call("llvm.arithmetic.fence", bits.type, [bits])
    return bitcast(emitter.builder, fenced, total.type)


def _rescoped(value: Ssa, scope: Scope) -> Ssa:
    inner = value.scope is not None and value.scope.depth > scope.depth
    return Ssa(value.name, value.type, scope) if inner else value


def _phi(result: Ssa, sources: list[tuple[str, str]]) -> str:
    pairs = ", ".join(f"[ {value}, %{block} ]" for value, block in sources)
    return f"  {result} = phi {result.type} {pairs}"


def _join(emitter: FunctionEmitter, name: str, sources: list[tuple[Ssa, str]]) -> None:
    """The value of a local after paths that gave it different ones."""
    builder = emitter.builder
    result = Ssa(f"%{builder.fresh(name)}", sources[0][0].type, builder.scope)
    builder.scope.lines.append(_phi(result, [(v.name, block) for v, block in sources]))
    emitter.environment[name] = result


# -- branches ------------------------------------------------------------------------------------------


def _emit_if(emitter: FunctionEmitter, stmt: If) -> None:
    builder = emitter.builder
    condition = emitter.value(stmt.condition)
    before = emitter.environment
    labels = [builder.fresh("then"), builder.fresh("else")]
    join = builder.fresh("join")
    ends: list[tuple[Scope, dict[str, Ssa]]] = []
    for label, block in zip(labels, (stmt.then, stmt.otherwise), strict=True):
        emitter.environment = dict(before)
        with builder.inside(ScopeKind.BRANCH, label) as scope:
            emit_block(emitter, block)
            builder.line(f"br label %{join}")
        ends.append((scope, emitter.environment))
    builder.line(f"br i1 {condition}, label %{labels[0]}, label %{labels[1]}")
    for label, (scope, _) in zip(labels, ends, strict=True):
        builder.scope.lines.append(f"{label}:")
        builder.splice(scope)
    builder.start_block(join)
    builder.wrote(stored(stmt.then) | stored(stmt.otherwise))
    emitter.environment = dict(before)
    for name in sorted((assigned(stmt.then) | assigned(stmt.otherwise)) & before.keys()):
        _join(emitter, name, [(values[name], scope.block) for scope, values in ends])


def _emit_check(emitter: FunctionEmitter, ok: Expr, fault: int) -> None:
    """A cold branch that notes the fault; execution goes on."""
    builder = emitter.builder
    held = emitter.value(ok)
    if ok.lanes > 1:
        name = f"llvm.vector.reduce.and.v{ok.lanes}i1"
        held = builder.call_exact(name, "i1", [held])
    failed = builder.pure(f"xor i1 {held}, true", "i1", [held])

    def note() -> None:
        place = f"%{builder.fresh('status')}"
        builder.line(f"{place} = {STATUS}")
        builder.line(f"store i32 {fault}, ptr {place}, align 4")

    builder.when(failed, note, likely=False)
