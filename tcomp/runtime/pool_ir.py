"""The thread pool as LLVM IR: parallel loops with lazy join.

One 64-bit word holds `generation << 32 | closed << 31 | active`. The caller publishes a task, stores the
next generation with the region open, wakes sleepers if there are any, and *runs the whole task itself*
through the same claiming of chunks as the workers. Then it closes the region and waits only for workers
that joined. A worker joins by compare-and-swap while the region is open, so one that is late, asleep,
stolen by another process or lost in a fork costs nothing: the region then runs serially.
Measured on two cores: 0.3 us for an empty region, against 1.2 us for libgomp's, which hangs after fork.

Functions of the system are reached through pointers in the pool's memory: the code has no symbols to
link and its object can be kept in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.runtime.llvm_text import fill

# Offsets into the pool's memory. Words that different threads write have cache lines of their own.
STATE, NEXT, TASK, CLOSURE, COUNT, GRAIN, BUSY, SLEEPERS, STARTED, THREADS, HOME = (
    0, 64, 128, 136, 144, 152, 192, 256, 320, 324, 328,
)  # fmt: skip
MUTEX, CONDITION = 384, 512  # pthread objects are at most 64 bytes on the systems that use them
FUNCTIONS = 640  # one pointer for each name of `functions`
ALLOWED, ALLOWED_BYTES = 768, 128  # a bit for each processor that may be used
SLOTS, SLOT_BYTES = 896, 24  # for each worker: the pool's address, its number, its id in the system
NOWHERE = 0xFFFF_FFFF

CLOSED = 1 << 31
# Spinning bridges the gaps between the regions of one call; each pause is 40-140 cycles.
WORKER_SPINS = 2000
CALLER_SPINS = 1000
# A chunk is 1/(4 threads) of what is left: big first, small at the end, so that threads end together.
SHARES_PER_THREAD = 4


_PAUSES = {
    "x86_64": 'call void asm sideeffect "pause", ""()',
    "AMD64": 'call void asm sideeffect "pause", ""()',
    "aarch64": 'call void asm sideeffect "yield", ""()',
    "arm64": 'call void asm sideeffect "yield", ""()',
}


@dataclass(frozen=True, slots=True)
class System:
    """What the pool's code depends on. `sleep` is 'futex', 'condition', or 'serial' (no threads)."""

    machine: str
    sleep: str
    futex_number: int = 202
    gettid_number: int = 186
    setaffinity_number: int = 203
    sig_block: int = 0
    sig_setmask: int = 2

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the system's functions, in the order of their pointers in the pool's memory."""
        common = ("pthread_create", "pthread_detach", "pthread_sigmask", "sched_yield")
        locks = ("pthread_mutex_lock", "pthread_mutex_unlock", "pthread_cond_wait")
        return {
            "futex": (*common, "syscall", "sched_getcpu"),
            "condition": (*common, *locks, "pthread_cond_broadcast"),
            "serial": (),
        }[self.sleep]


def pool_text(system: System) -> str:
    """A module's text that defines `tcomp_parallel`, the `parallel` of the kernel ABI."""
    if system.sleep == "serial":
        return fill("pool_serial.ll", {})
    values: dict[str, object] = {
        "PAUSE": _PAUSES.get(system.machine, ""),
        "WORKER_SPINS": WORKER_SPINS,
        "CALLER_SPINS": CALLER_SPINS,
        "SHARES": SHARES_PER_THREAD,
        "CLOSED": CLOSED,
        "FUTEX": system.futex_number,
        "GETTID": system.gettid_number,
        "SETAFFINITY": system.setaffinity_number,
        "HOME": HOME, "ALLOWED": ALLOWED,
        "SIG_BLOCK": system.sig_block,
        "SIG_SETMASK": system.sig_setmask,
        "NEXT": NEXT, "TASK": TASK, "CLOSURE": CLOSURE, "COUNT": COUNT, "GRAIN": GRAIN,
        "BUSY": BUSY, "SLEEPERS": SLEEPERS, "STARTED": STARTED, "THREADS": THREADS,
        "MUTEX": MUTEX, "CONDITION": CONDITION, "SLOTS": SLOTS, "SLOT_BYTES": SLOT_BYTES,
        **{name: FUNCTIONS + 8 * n for n, name in enumerate(system.functions)},
    }  # fmt: skip
    return fill("pool.ll", values) + fill(f"pool_{system.sleep}.ll", values)
