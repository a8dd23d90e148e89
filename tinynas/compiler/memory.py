"""One arena for all activations: who shares memory with whom, and where each piece lies.

Tensors that are one piece of memory (a reshape's input and output; an element-wise output over its input) form a
`Block`. Blocks that are never needed at the same time may overlap, and so may a step's input and output where the
output trails behind the reader. Placing them best is NP-hard (dynamic storage allocation), so several greedy orders are
tried and improved, and the smallest arena wins; the plan says how far from the lower bound it is.
Greedy by size: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinynas.compiler.graph import Graph, Tensor
from tinynas.compiler.step import Stage, Step

# Every piece starts at a multiple of this, so that kernels may read words.
ALIGNMENT = 4


@dataclass(frozen=True, kw_only=True)
class Placed:
    """`size` B at `offset`, needed from step `first` to step `last` inclusive, -1 being before and the number of steps
    after all of them. tensors: indices of those that lie there, one after the other; none in scratch memory.
    """

    offset: int
    size: int
    first: int
    last: int
    tensors: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where everything lies [B from the arena's start].

    placed: all of it; offsets: by tensor index; scratch_offsets: by step; arena_bytes: the arena's size; needs: what
    each step needs at once; lower_bound_bytes: the most that is needed at once by a step or before all of them, below
    which no plan can go without changing the steps.
    """

    placed: tuple[Placed, ...]
    offsets: dict[int, int]
    scratch_offsets: tuple[int, ...]
    arena_bytes: int
    needs: tuple[int, ...]
    lower_bound_bytes: int

    @property
    def ratio(self) -> float:
        """The arena's size over its lower bound, 1 at best."""
        return self.arena_bytes / self.lower_bound_bytes


@dataclass
class _Block:
    """A piece of memory, needed from step `first` to step `last` inclusive. Step -1 writes the network's inputs."""

    size: int
    first: int
    last: int
    tensors: list[int]


def plan_memory(graph: Graph, steps: Sequence[Step], stage: Stage | None = None) -> Plan:
    """Offsets for every activation and every step's scratch memory. An input may be overwritten once it is used."""
    blocks = _share(graph, steps, stage)
    scratch = [_Block(size=_aligned(step.scratch_bytes), first=i, last=i, tensors=[]) for i, step in enumerate(steps)]
    everything = [block for block in (*blocks, *scratch) if block.size]
    lags = _find_lags(steps, blocks, stage)
    before, *needs = (_least(everything, lags, step) for step in range(-1, len(steps)))
    lower_bound_bytes = max([before, *needs])
    offsets = _search(everything, lags, lower_bound_bytes)
    by_block = {id(block): offset for block, offset in zip(everything, offsets, strict=True)}
    return Plan(
        placed=tuple(
            Placed(offset=offset, size=block.size, first=block.first, last=block.last, tensors=tuple(block.tensors))
            for block, offset in zip(everything, offsets, strict=True)
        ),
        offsets={tensor: by_block[id(block)] for block in blocks for tensor in block.tensors},
        scratch_offsets=tuple(by_block.get(id(block), 0) for block in scratch),
        arena_bytes=_top(everything, offsets),
        needs=tuple(needs),
        lower_bound_bytes=lower_bound_bytes,
    )


# How far an output stays behind an input of the same step [B], by the identities of their blocks.
_Lags = dict[tuple[int, int], int]


def _find_lags(steps: Sequence[Step], blocks: Sequence[_Block], stage: Stage | None) -> _Lags:
    """The pairs of blocks that may overlap while both are needed: the input for the last time, the output at first.

    A stage's output is needed from the stage's first step on, and its input up to the last one.
    """
    of_tensor = {tensor: block for block in blocks for tensor in block.tensors}
    found = {}
    for index, step in enumerate(steps):
        output = of_tensor[step.operator.output.index]
        for trail in step.trails:
            source = of_tensor[trail.tensor.index]
            begin = 0 if stage is not None and step.operator.output.index == stage.output else index
            if source is not output and source.last == index and output.first == begin:
                found[id(output), id(source)] = trail.lag
    return found


def _least(blocks: Sequence[_Block], lags: _Lags, step: int) -> int:
    """What a step needs at once [B]. Its output, and that of its stage, each trail behind one input at most."""
    live = [block for block in blocks if block.first <= step <= block.last]
    saved: dict[int, int] = {}
    for output, source in itertools.product(live, live):
        lag = lags.get((id(output), id(source)))
        if lag is not None:
            together = max(source.size + max(lag, 0), output.size)
            saved[id(output)] = max(saved.get(id(output), 0), output.size + source.size - together)
    return sum(block.size for block in live) - sum(saved.values())


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _share(graph: Graph, steps: Sequence[Step], stage: Stage | None) -> list[_Block]:
    """The blocks of all activations, with tensors merged that can be one piece of memory."""
    blocks = _alias(graph, steps, stage)
    of_tensor = {tensor: block for block in blocks for tensor in block.tensors}
    for index, step in enumerate(steps):
        output = of_tensor[step.operator.output.index]
        for tensor in step.overwrites:
            taken = of_tensor[tensor.index]
            if taken is not output and taken.last == index and output.first == index and taken.size >= output.size:
                taken.last = output.last
                taken.tensors += output.tensors
                of_tensor.update(dict.fromkeys(output.tensors, taken))
                blocks.remove(output)
                break
    return blocks


def _alias(graph: Graph, steps: Sequence[Step], stage: Stage | None) -> list[_Block]:
    """One block per activation, reshapes joined, with the steps from the first write to the last read.

    What stays from one patch to the next is needed throughout a stage, and so are its input and output.
    """
    of_tensor: dict[int, _Block] = {}
    blocks: list[_Block] = []

    def write(tensor: Tensor, step: int) -> None:
        size = tensor.bytes if stage is None else stage.bytes.get(tensor.index, tensor.bytes)
        block = _Block(size=_aligned(size), first=step, last=step, tensors=[tensor.index])
        of_tensor[tensor.index] = block
        blocks.append(block)

    for tensor in graph.inputs:
        write(tensor, -1)
    for index, step in enumerate(steps):
        read = [of_tensor[tensor.index] for tensor in step.operator.activations]
        for block in read:
            block.last = index
        if step.calls:
            write(step.operator.output, index)
        else:
            of_tensor[step.operator.output.index] = read[0]
            read[0].tensors.append(step.operator.output.index)
    for tensor in graph.outputs:
        of_tensor[tensor.index].last = len(steps)
    if stage is not None:
        for kept in (stage.source, stage.output, *stage.kept):
            block = of_tensor[kept]
            block.first, block.last = min(block.first, 0), max(block.last, stage.depth - 1)
    return blocks


# The end of the list of blocks breaks ties, so equal networks get equal plans.
_ORDERS: tuple[Callable[[_Block], tuple[int, ...]], ...] = (
    lambda block: (-block.size, block.first),
    lambda block: (-(block.last - block.first + 1) * block.size, block.first),
    lambda block: (block.first, -block.size),
    lambda block: (-block.last, -block.size),
)
# Placing n blocks takes time in the order of n * n: about so many such steps are spent on improving a plan.
_IMPROVEMENT_STEPS = 400_000
_MOST_IMPROVEMENTS = 400


def _search(blocks: Sequence[_Block], lags: _Lags, enough: int) -> list[int]:
    """Offsets, from the best of some orders, in which blocks are then moved forward at random, until `enough` [B].

    A move that makes nothing worse is kept. The highest block moves in every other attempt: it must come down.
    """
    orders = [sorted(range(len(blocks)), key=lambda number: order(blocks[number])) for order in _ORDERS]
    plans = [(_place(blocks, lags, order), order) for order in orders]
    best, order = min(plans, key=lambda plan: _top(blocks, plan[0]))
    rng = random.Random(0)
    for attempt in range(min(_MOST_IMPROVEMENTS, _IMPROVEMENT_STEPS // max(1, len(blocks)) ** 2)):
        top = _top(blocks, best)
        if top <= enough:
            break
        highest = max(range(len(order)), key=lambda place: best[order[place]] + blocks[order[place]].size)
        moved = highest if attempt % 2 else rng.randrange(len(order))
        tried = [*order]
        tried.insert(rng.randrange(moved + 1), tried.pop(moved))
        offsets = _place(blocks, lags, tried)
        if _top(blocks, offsets) <= top:
            best, order = offsets, tried
    return best


def _place(blocks: Sequence[_Block], lags: _Lags, order: Sequence[int]) -> list[int]:
    """Each block in turn goes to the lowest place that those placed before leave it."""
    offsets: dict[int, int] = {}
    for number in order:
        block = blocks[number]
        taken = sorted(
            _forbidden(block, blocks[other], offset, lags)
            for other, offset in offsets.items()
            if blocks[other].first <= block.last and block.first <= blocks[other].last
        )
        position = 0
        for low, high in taken:
            if low < position < high:
                position = _aligned(high)
        offsets[number] = position
    return [offsets[number] for number in range(len(blocks))]


def _forbidden(block: _Block, other: _Block, offset: int, lags: _Lags) -> tuple[int, int]:
    """Between which offsets `block` must not lie, both exclusive, where `other` lies at `offset`."""
    trailing, leading = lags.get((id(block), id(other))), lags.get((id(other), id(block)))
    if trailing is not None:
        return offset - min(trailing, block.size), offset + other.size
    if leading is not None:
        return offset - block.size, offset + min(leading, other.size)
    return offset - block.size, offset + other.size


def _top(blocks: Sequence[_Block], offsets: Sequence[int]) -> int:
    return max((offset + block.size for block, offset in zip(blocks, offsets, strict=True)), default=0)
