"""The runner of long fuzzing runs: what a seed does to its process costs that seed alone."""

import os
from collections import Counter

import pytest

from tests.fuzz.batches import State, run
from tests.fuzz.contents import contents, show
from tests.strategies import seeded_case


def _task(seed):
    if seed == 13:
        os._exit(3)
    if seed == 17:
        raise ValueError("wrong\nin detail")
    return Counter(even=1 - seed % 2)


def test_a_seed_that_ends_its_process_is_found():
    state = State(10)
    run(state, _task, 12, jobs=2, size=6)
    assert state.programs == 12
    assert state.failures == {"13": "ends its process (3)", "17": "ValueError: wrong"}
    assert state.contents["even"] == 6
    assert (state.next, state.open) == (22, [])


def test_a_seed_that_never_ends_is_found():
    def task(seed):
        while seed == 2:
            pass
        return Counter(done=1)

    state = State(0)
    run(state, task, 4, size=4, seconds_a_seed=0.05, grace=0.1)
    assert state.failures == {"2": "takes too long"}
    assert state.contents["done"] == 3


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    file = tmp_path / "state.json"

    def interrupt(state):
        state.save(file)
        raise KeyboardInterrupt

    state = State(0)
    with pytest.raises(KeyboardInterrupt):
        run(state, lambda seed: Counter(seen=1), 40, jobs=2, size=10, ended=interrupt)
    state.save(file)
    again = State.load(file)
    assert again == state
    assert again.open
    run(again, lambda seed: Counter(seen=1), 40 - again.next, size=10)
    assert again.contents["seen"] == again.programs == 40


def test_contents_count_programs_not_occurrences():
    counted = sum((contents(seeded_case(seed).program) for seed in range(30)), Counter())
    assert max(counted.values()) <= 30
    assert {"read guarded", "read gather", "scan single", "reduction sum"} <= set(counted)
    assert any(line.startswith("  reduction: ") for line in show(counted, 30))
