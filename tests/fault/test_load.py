"""Faults under load: each request has its answer, and nothing is left. The short form of what tools/fault-load does for minutes.
FAULT_SEED repeats a run's choices."""
import os
import random

import harness
import load

SEED = int(os.environ.get("FAULT_SEED") or random.randrange(1 << 30))
SECONDS, RATE, FUNCTIONS = 25, 60, 10
# A sanitizer keeps what was freed.
MARGIN_KIB = 1 << 30 if any(word in harness.BUILD for word in ("-asan", "-tsan")) else 16 << 10


def test_each_request_has_its_answer_whatever_is_done_to_the_host(fresh):
    print("FAULT_SEED", SEED)
    under = load.Load(fresh, SEED, RATE, FUNCTIONS, callers=6)
    before = load.rest(fresh)
    under.prepare()
    under.run(SECONDS, 0.8)
    print(dict(under.strikes), under.tally(), under.errors())
    assert not under.strange(), under.strange()[:3]
    assert under.tally()["right"] > 0
    under.every_function_answers()
    print("before", before, "after", load.leaves(under, before, MARGIN_KIB))
