"""Children: a crash, a hang or a glutton costs one call."""

import ctypes
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tinynas.children import Children, call_in_child
from tinynas.errors import CandidateError, ChildError, LimitError

GIB = 1024**3


def crash() -> None:
    ctypes.string_at(0)


def exhaust() -> int:
    return len(bytearray(8 * GIB))


def refuse() -> None:
    raise LimitError("needs 2 B, has 1")


def test_the_result_comes_back_and_a_pool_survives_every_misdeed():
    with Children(1, memory_bytes=2 * GIB) as children:
        assert children.call("adding", 10, sum, [1, 2]) == 3
        with pytest.raises(ChildError, match=r"dereferencing crashed its process \(SIGSEGV\)"):
            children.call("dereferencing", 10, crash)
        with pytest.raises(ChildError, match="sleeping took more than 1 s"):
            children.call("sleeping", 1, time.sleep, 30)
        with pytest.raises(ChildError, match="hoarding needs more than"):
            children.call("hoarding", 10, exhaust)
        with pytest.raises(ChildError, match="ValueError"):
            children.call("parsing", 10, int, "x")
        with pytest.raises(LimitError, match="needs 2 B, has 1"):
            children.call("refusing", 10, refuse)
        assert children.call("adding", 10, sum, [1, 2]) == 3


def test_a_single_call_has_a_process_of_its_own():
    assert call_in_child("asking", 10, GIB, os.getpid) != os.getpid()
    assert issubclass(ChildError, CandidateError)


def test_stopping_ends_the_calls_of_other_threads_whatever_they_wait_for():
    children = Children(1, memory_bytes=GIB)
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(children.call, "sleeping", 60, time.sleep, 60) for _ in range(4)]
        time.sleep(0.5)
        children.stop()
        late = threads.submit(children.call, "adding", 60, sum, [1, 2])
        for call in (*calls, late):
            with pytest.raises(ChildError):
                call.result(timeout=10)
