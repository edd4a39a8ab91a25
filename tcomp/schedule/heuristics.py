"""The general nest's decisions without measuring: from access patterns, weights and vector widths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod

from tcomp.ir.integer import Iter
from tcomp.ir.plan import Group
from tcomp.ir.tensor import nodes as t
from tcomp.ir.tensor.tables import table_iters
from tcomp.schedule.access import Access, Profile, overlaps, profile
from tcomp.schedule.choice import GroupChoice, MemberChoice, ReduceChoice
from tcomp.schedule.legal import MOST_POINTS, mergeable
from tcomp.schedule.nest import axes_of, reductions_of
from tcomp.schedule.transpose import LEAST_STRIDE
from tcomp.target import Target

PARALLEL_CYCLES = 300_000  # about 100 us: below that waking a thread costs more than it gains
GRAIN_CYCLES = 100_000  # about 30 us of work in a chunk
_PLANE = 64  # points of a plane that is one tile
_LINE = 2  # vectors of a line that is in one tile (depthwise 3x3 384 @14x14: 10.4 us, so 7.4, with seven lines 6.6)
_SLIDES = 8  # points that a window slides over (32 @112x112: 34 us with 4, 32 with 8)
_LONG_RUN = 16  # vectors in a range that needs no further iterator merged into it
_UNROLL_TERMS = 16
_WINDOW_TERMS = 32  # reads of a point that may slide
_BORDER_LOADS = 256  # guarded loads of a tile that may be there twice
_ROWS = 8  # points that share a square of memory
_UNROLL_WORK = 160
_NEAR_STRIDE = 4  # elements: a cache line holds several lanes
_MISS_CYCLES_PER_BYTE = 0.25  # about 12 GB/s a core at 3 GHz


def choose_group(group: Group, target: Target, threads: int) -> GroupChoice:
    """The decisions for one group."""
    members = [_Member(d, group, target) for d in group.members]
    around = _shared_vector(group, members)
    vectorised = around >= 0
    lanes = min(m.lanes_along(group.shared[around].iter) for m in members) if vectorised else 1
    tile = _group_tile(group.shared[around].iter, lanes, target) if vectorised else 1
    chosen = [m.scalar() if vectorised else m.choose() for m in members]
    parallel, grain = 0, 1
    if threads > 1:
        parallel, grain = _group_parallel(group, members, chosen, (around, lanes * tile), threads)
        if not parallel:
            steps = _size(s.iter for s in group.shared)
            chosen = [
                m.parallel(c, threads)
                if steps == 1 or not group.shared or _all_ordered(group)
                else c
                for m, c in zip(members, chosen, strict=True)
            ]
    return GroupChoice(tuple(chosen), around, lanes, tile, parallel, grain)


class _Member:
    """One definition of a group and what can be said of its loops."""

    def __init__(self, definition: t.Definition, group: Group, target: Target) -> None:
        self.definition, self.target = definition, target
        self.profile: Profile = profile(definition)
        shared = {s.iter for s in group.shared}
        self.own = [k for k, it in enumerate(definition.iters) if it not in shared]
        self.reductions = reductions_of(definition)
        self.tables = {k for k, it in enumerate(definition.iters) if it in table_iters(definition)}
        self.points = _size(definition.iters[k] for k in self.own)

    @property
    def full_lanes(self) -> int:
        return self.target.lanes(self.profile.bits)

    def lanes_along(self, it: Iter) -> int:
        """The widest power of two of lanes that the extent holds."""
        return self.lanes_in(int(it.extent))

    def lanes_in(self, extent: int, bits: int = 0) -> int:
        """The widest power of two of lanes of `bits` bits that a flat range holds."""
        lanes = self.target.lanes(bits or self.profile.bits)
        while lanes > max(1, extent):
            lanes //= 2
        return lanes

    def cycles(self) -> float:
        """A rough cost of all points at one shared point: operations in vectors, or memory."""
        moved = sum(a.trips * a.tensor.dtype.bytes for a in self.profile.accesses)
        compute = self.profile.work / max(1, self.full_lanes)
        return self.points * max(compute, moved * _MISS_CYCLES_PER_BYTE)

    def _cost_of(self, access: Access, it: Iter, lanes: int) -> float:
        """Cycles to read a vector along `it`."""
        square = 1.0 + lanes.bit_length()
        if self.crossing(access, it, lanes) is not None:
            return square
        if self.term_square(access, it, lanes) is not None:
            shared = self.sharers(access, it)
            points = min(_ROWS, int(self.definition.iters[shared[0]].extent)) if shared else 1
            return square / points
        return _lane_cost(access.step(it), lanes)

    def run_of(self, vector: int) -> list[int]:
        """Own iterators, `vector` the last, that make one even range long enough for whole vectors."""
        run, extent = [vector], int(self.definition.iters[vector].extent)
        for k in reversed([k for k in self.own if k != vector]):
            pair = [self.definition.iters[k], self.definition.iters[run[0]]]
            if extent >= _LONG_RUN * self.full_lanes:
                break
            tested = self.profile.positions & {*pair, *(self.definition.iters[r] for r in run)}
            if tested and not self._is_plane(extent, int(pair[0].extent)):
                break
            if not all(mergeable(access, pair) for access in self.profile.accesses):
                break
            run.insert(0, k)
            extent *= int(pair[0].extent)
        return run

    def _is_plane(self, line: int, lines: int) -> bool:
        """Whether lines are short, and all of them together a few vectors: in one tile, where every position
        is a constant, and so is what guards test."""
        lanes = self.target.lanes(self.profile.bits)
        return line < lanes <= line * lines <= _PLANE

    def cost_along(self, it: Iter, lanes: int, extent: int = 0) -> float:
        """Cycles a point when the lanes run along `it`, in a flat range of `extent` points."""
        if lanes == 1:
            return self.profile.work + sum(a.trips for a in self.profile.accesses)
        total = self.profile.work
        for access in self.profile.accesses:
            total += access.trips * self._cost_of(access, it, lanes)
        extent = extent or int(it.extent)
        steps = -(-extent // lanes)
        return total * steps / extent

    def crossing(self, access: Access, it: Iter, lanes: int) -> int | None:
        """The own iterator along which a read that strides along `it` is contiguous: together they cross
        squares of memory, which `schedule.transpose` exchanges in registers."""
        step = access.step(it)
        if self.reductions or not _may_cross(access, step):
            return None
        for k in self.own:
            other = self.definition.iters[k]
            if other is not it and access.step(other) == 1 and int(other.extent) >= lanes:
                return k
        return None

    def term_square(self, access: Access, it: Iter, lanes: int) -> t.Reduce | None:
        """The reduction whose innermost iterator makes such a square with lanes along `it`."""
        if not _may_cross(access, access.step(it)):
            return None
        for reduce in self.reductions:
            inner = reduce.iters[-1]
            if access.step(inner) == 1 and int(inner.extent) >= lanes and lanes > 1:
                return None if self._is_nested(reduce) else reduce
        return None

    def sharers(self, access: Access, vector: Iter) -> list[int]:
        """Own iterators, innermost first, along which an access stays where it is."""
        own = [(k, self.definition.iters[k]) for k in reversed(self.own)]
        return [
            k for k, it in own if it is not vector and int(it.extent) > 1 and not access.depends(it)
        ]

    # -- decisions ---------------------------------------------------------------------------------

    def scalar(self) -> MemberChoice:
        """No lanes of its own: those of the group, or none."""
        return MemberChoice(
            tuple(self.own),
            tile=(1,) * len(self.definition.iters),
            reductions=tuple(self._scalar_reduction(r) for r in self.reductions),
        )

    def choose(self) -> MemberChoice:
        """Lanes along the iterator where a point costs least."""
        iters = self.definition.iters
        if self.tables:
            return self._table()
        best, cost = self.scalar(), self.profile.work + sum(a.trips for a in self.profile.accesses)
        for k in reversed(self.own):
            run = self.run_of(k)
            extent = _size(iters[r] for r in run)
            lanes = self.lanes_in(extent)
            along = self.cost_along(iters[k], lanes, extent)
            if lanes > 1 and along < cost:
                best, cost = self._along_output(run, lanes), along
        reduced = self._along_reductions()
        if reduced is not None and reduced[1] < cost:
            best = reduced[0]
        return best

    def _table(self) -> MemberChoice:
        """All positions of a table side by side; lanes along the best of the other iterators."""
        iters, others = self.definition.iters, [k for k in self.own if k not in self.tables]
        tile = [int(it.extent) if k in self.tables else 1 for k, it in enumerate(iters)]
        if prod(tile) > MOST_POINTS:
            return self.scalar()
        order = others + [k for k in self.own if k in self.tables]
        costs = {k: self._table_cost(iters[k]) for k in others if self.lanes_along(iters[k]) > 1}
        best = min(costs, key=lambda k: (costs[k], -k), default=-1)
        lanes = self.lanes_along(iters[best]) if best >= 0 else 1
        if lanes == 1:
            return replace(self.scalar(), order=tuple(order), tile=tuple(tile))
        order = (
            [k for k in others if k != best] + [k for k in self.own if k in self.tables] + [best]
        )
        return self._output_choice(order, [best], lanes, tile)

    def _table_cost(self, it: Iter) -> float:
        """Cycles a point along an iterator; short strides are shuffled from whole vectors."""
        lanes = self.lanes_along(it)
        moves = sum(
            a.trips
            * (
                2.0
                if abs(a.step(it) or LEAST_STRIDE) < LEAST_STRIDE
                else _lane_cost(a.step(it), lanes)
            )
            for a in self.profile.accesses
        )
        return moves * -(-int(it.extent) // lanes) / int(it.extent)

    def _along_output(self, run: list[int], lanes: int) -> MemberChoice:
        iters, vector = self.definition.iters, run[-1]
        order = [k for k in self.own if k not in run] + run
        tile = [1] * len(iters)
        looped = any(not c.unrolled for c in map(self._scalar_reduction, self.reductions))
        wanted = 4 if looped or self.profile.work < 12 else 2 if self.profile.work < 40 else 1
        extent = _size(iters[k] for k in run)
        tile[vector] = _tile(extent, lanes, wanted)
        if len(run) > 1 and self.profile.positions & {iters[k] for k in run}:
            tile[vector] = -(-extent // lanes)  # a plane
            return self._output_choice(order, run, lanes, tile)
        across = {
            k
            for access in self.profile.reads
            if (k := self.crossing(access, iters[vector], lanes)) is not None
        }
        alone = lanes <= int(iters[vector].extent)  # without those it is merged with
        if len(across) == 1 and alone:
            run, order = [vector], [k for k in self.own if k != vector] + [vector]
            tile[vector], tile[across.pop()] = 1, lanes
            return self._output_choice(order, run, lanes, tile)
        squares = [a for a in self.profile.reads if self.term_square(a, iters[vector], lanes)]
        if squares and alone:
            run, order = [vector], [k for k in self.own if k != vector] + [vector]
            tile[vector] = 1
            for k in self.sharers(squares[0], iters[vector])[:1]:
                tile[k] = _tile(int(iters[k].extent), 1, _ROWS)
            steps = {self.term_square(a, iters[vector], lanes): lanes for a in squares}
            return self._output_choice(order, run, lanes, tile, steps)
        if looped:
            self._jam(run, tile, order)
        elif self.reductions:
            self._slide(run, tile, order, lanes)
        return self._output_choice(order, run, lanes, tile)

    def _slide(self, run: list[int], tile: list[int], order: Sequence[int], lanes: int) -> None:
        """Points along another iterator, from one of which a window slides to the next; a short line whole, so
        that masks at its ends are constants."""
        terms = sum(a.trips for a in self.profile.reads)
        for k in reversed(order):
            it = self.definition.iters[k]
            if k in run or int(it.extent) < 2 or terms > _WINDOW_TERMS:
                continue
            if overlaps(self.profile, it, self.reductions):
                tile[k] = _tile(int(it.extent), 1, min(_SLIDES, self.target.vector_registers // 4))
                if self.profile.work > _UNROLL_TERMS:
                    line = -(-_size(self.definition.iters[r] for r in run) // lanes)
                    tile[run[-1]] = line if line <= _LINE else 1
                return

    def _output_choice(
        self,
        order: list[int],
        run: list[int],
        lanes: int,
        tile: list[int],
        steps: Mapping[t.Reduce | None, int] | None = None,
    ) -> MemberChoice:
        reductions = []
        for reduce in self.reductions:
            choice = self._scalar_reduction(reduce)
            if steps and reduce in steps and not choice.unrolled:
                choice = replace(choice, steps=steps[reduce])
            reductions.append(choice)
        return MemberChoice(
            tuple(order),
            run[-1],
            lanes,
            tuple(tile),
            reductions=tuple(reductions),
            merged=len(run) - 1,
            interior=int(self._splits_borders(tile)),
        )

    def _splits_borders(self, tile: Sequence[int]) -> bool:
        """Whether tiles inside get code without guards: where masks are dear, and the code is short."""
        loads = prod(tile) * sum(a.trips for a in self.profile.reads if a.guarded)
        return 0 < loads <= _BORDER_LOADS and not self.target.has("avx512f")

    def _jam(self, run: list[int], tile: list[int], order: Sequence[int]) -> None:
        """Points along another iterator, where reads are shared between them."""
        for k in reversed(order):
            extent = int(self.definition.iters[k].extent)
            shares = any(
                a.trips > 1 and not a.depends(self.definition.iters[k]) for a in self.profile.reads
            )
            if k not in run and shares and extent > 1:
                tile[k] = _tile(extent, 1, 4)
                return

    def _along_reductions(self) -> tuple[MemberChoice, float] | None:
        """Every reduction along its own best iterator, and the cost of a point."""
        outer = [r for r in self.reductions if not self._is_nested(r)]
        if not outer or any(_size(r.iters) == 0 for r in outer):
            return None
        choices: dict[t.Reduce, ReduceChoice] = {}
        tile, bits = self._jammed_rows(), self.profile.term_bits
        total = self.profile.work
        for reduce in outer:
            runs = [self._merged_terms(reduce, k) for k in range(len(reduce.iters))]
            costs = [
                (self.cost_along(run[-1], self.lanes_in(_size(run), bits), _size(run)), -k)
                for k, run in enumerate(runs)
            ]
            cost, k = min(costs)
            extent = _size(runs[-k])
            lanes = self.lanes_in(extent, bits)
            if lanes == 1:
                return None
            trips = _size(reduce.iters)
            chains = _chains(extent, lanes, self.profile.work / trips, prod(tile))
            merged = len(runs[-k]) - 1
            choices[reduce] = ReduceChoice(-k, lanes, chains, merged=merged)
            total = cost + chains * 2 + 2 * lanes.bit_length() + 4
        choice = MemberChoice(
            tuple(self.own),
            tile=tile,
            reductions=tuple(choices.get(r) or self._scalar_reduction(r) for r in self.reductions),
        )
        return choice, total

    def _jammed_rows(self) -> tuple[int, ...]:
        """Points side by side along iterators where some read of the terms is shared."""
        tile, room = [1] * len(self.definition.iters), self.target.vector_registers // 2
        for k in reversed(self.own):
            it = self.definition.iters[k]
            if any(a.trips > 1 and not a.depends(it) for a in self.profile.reads):
                tile[k] = _tile(int(it.extent), 1, min(4, room))
                room //= tile[k]
        return tuple(tile)

    def _is_nested(self, reduce: t.Reduce) -> bool:
        bound = {it for r in self.reductions for it in r.iters}
        return bool(reduce.free_atoms() & bound)

    def _merged_terms(self, reduce: t.Reduce, vector: int) -> list[Iter]:
        """Iterators of a reduction up to `vector` that make one even range of terms."""
        run = [reduce.iters[vector]]
        for it in reversed(reduce.iters[:vector]):
            short = _size(run) < _LONG_RUN * self.full_lanes
            if not short or self.profile.positions & {it, run[0]}:
                break
            if not all(a.merges(it, run[0], int(run[0].extent)) for a in self.profile.reads):
                break
            run.insert(0, it)
        return run

    def _scalar_reduction(self, reduce: t.Reduce) -> ReduceChoice:
        terms, unrolled = 1, 0
        each = self.profile.work / max(1, _size(reduce.iters))
        for it in reversed(reduce.iters):
            terms *= int(it.extent)
            if terms > _UNROLL_TERMS or terms * each > _UNROLL_WORK or terms == 0:
                break
            unrolled += 1
        return ReduceChoice(unrolled=unrolled)

    def parallel(self, choice: MemberChoice, threads: int) -> MemberChoice:
        """The choice with its outermost loops shared out over threads, where that pays."""
        if self.cycles() < PARALLEL_CYCLES:
            return choice
        axes = axes_of(self.definition, choice)
        counts = [-(-axis.extent // (axis.points * axis.lanes)) for axis in axes]
        taken, grain = _parallel_loops(counts, self.cycles(), threads)
        if not taken:
            return choice
        return replace(choice, parallel=taken, grain=grain)


def _may_cross(access: Access, step: int | None) -> bool:
    return step is not None and abs(step) >= LEAST_STRIDE and not access.guarded


def _lane_cost(step: int | None, lanes: int) -> float:
    """Cycles to move a vector: a broadcast, a whole load, a reversed one, or lane by lane; lanes that share
    cache lines are cheaper (windows that move by 2: 0.21 ms across 576 channels of 14 x 14, 0.05 along lines)."""
    match step:
        case 0:
            return 0.2
        case 1:
            return 1.0
        case -1:
            return 2.0
        case None:
            return 2.0 * lanes
    return (0.6 if abs(step) <= _NEAR_STRIDE else 1.2) * lanes


def _tile(extent: int, lanes: int, wanted: int) -> int:
    """Vectors side by side: as many as wanted while at most an eighth of the work is done twice."""
    best = 1
    for count in range(2, wanted + 1):
        width = count * lanes
        if width <= extent and -(-extent // width) * width <= extent * 1.125:
            best = count
    return best


def _group_tile(it: Iter, lanes: int, target: Target) -> int:
    return _tile(int(it.extent), lanes, 4 if target.vector_registers >= 32 else 2)


def _chains(extent: int, lanes: int, work: float, points: int) -> int:
    """Independent accumulators: enough for the latency of the combining operation."""
    wanted = max(1, (4 if work < 20 else 2) // points)
    while wanted > 1 and extent < 2 * wanted * lanes:
        wanted //= 2
    return wanted


def _shared_vector(group: Group, members: Sequence[_Member]) -> int:
    """The shared iterator along which whole points of the group fill lanes, or -1."""
    if any(m.points > 1 for m in members) or any(m.reductions for m in members):
        return -1
    candidates = []
    for k, shared in enumerate(group.shared):
        lanes = min(m.lanes_along(shared.iter) for m in members)
        if not shared.ordered and lanes > 1:
            candidates.append((sum(m.cost_along(shared.iter, lanes) for m in members), k))
    plain = sum(m.profile.work + len(m.profile.accesses) for m in members)
    if not candidates or min(candidates)[0] >= plain:
        return -1
    return min(candidates)[1]


def _all_ordered(group: Group) -> bool:
    return all(s.ordered for s in group.shared)


def _group_parallel(
    group: Group,
    members: Sequence[_Member],
    chosen: Sequence[MemberChoice],
    vector: tuple[int, int],
    threads: int,
) -> tuple[int, int]:
    """How many leading shared loops to share out, and the grain."""
    free = 0
    while free < len(group.shared) and not group.shared[free].ordered:
        free += 1
    cycles = sum(m.cycles() for m in members) * _size(s.iter for s in group.shared)
    if not free or cycles < PARALLEL_CYCLES:
        return 0, 1
    counts = [
        -(-int(s.iter.extent) // (vector[1] if k == vector[0] else 1))
        for k, s in enumerate(group.shared[:free])
    ]
    return _parallel_loops(counts, cycles, threads)


def _parallel_loops(counts: Sequence[int], cycles: float, threads: int) -> tuple[int, int]:
    """Leading loops fused until there is enough to share out, and the grain of the fused loop."""
    total, taken = 1, 0
    for count in counts:
        if total >= 8 * threads:
            break
        total *= count
        taken += 1
    if total < 2:
        return 0, 1
    grain = round(total * GRAIN_CYCLES / max(cycles, 1.0))
    return taken, max(1, min(grain, -(-total // (4 * threads))))


def _size(iters: Iterable[Iter]) -> int:
    total = 1
    for it in iters:
        total *= int(it.extent)
    return total
