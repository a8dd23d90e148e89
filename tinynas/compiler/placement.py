"""Which constants lie in memory that never makes the CPU wait: those that are read most often, byte for byte."""

from collections.abc import Sequence
from dataclasses import replace

from tinynas.compiler.step import Call, Constant, Step


def place_fast(steps: Sequence[Step], budget_bytes: int) -> tuple[Step, ...]:
    """The steps with the constants of some of them marked as fast, `budget_bytes` in all at most.

    A layer's constants go together, because its kernel reads all of them in turn. Choosing is a knapsack; greedily by
    reads per byte comes within one layer of the best choice.
    """
    chosen: set[int] = set()
    left = budget_bytes
    for number in sorted(range(len(steps)), key=lambda each: -_reads(steps[each])):
        size = sum(constant.padded_bytes for constant in steps[number].constants)
        if 0 < size <= left:
            chosen.add(number)
            left -= size
    return tuple(_marked(step) if number in chosen else step for number, step in enumerate(steps))


def _reads(step: Step) -> float:
    """How often an inference reads each byte of a layer's constants, up to what its kernel does at once."""
    return max(step.macs, step.operator.output.elements) / step.constants_bytes if step.constants_bytes else 0.0


def _marked(step: Step) -> Step:
    # Calls may share a constant, which stays one.
    fast = {id(constant): replace(constant, fast=True) for constant in step.constants}
    return replace(step, calls=tuple(_with(call, fast) for call in step.calls))


def _with(call: Call, fast: dict[int, Constant]) -> Call:
    arguments = tuple(fast[id(each)] if isinstance(each, Constant) else each for each in call.arguments)
    return replace(call, arguments=arguments)
