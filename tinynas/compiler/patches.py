"""Patch-based execution: the first layers run in turn on a few rows at a time, so that their activations never exist
as a whole. Exact, and no row is computed twice; rows.py says which rows are there in which patch.

It pays where the first layers, on the largest images, set the arena's peak.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinynas.compiler.graph import Graph, Operator, Tensor
from tinynas.compiler.memory import ALIGNMENT, Plan
from tinynas.compiler.ops import lower
from tinynas.compiler.rows import Reach, Spans, plan_rows, reach_of
from tinynas.compiler.step import Argument, Call, Constant, Part, Scratch, Stage, Step, Trail
from tinynas.compiler.target import Target

# Rows of the last output in a patch that are tried.
_ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
# Beyond what makes sense on a microcontroller, and few enough that a hostile network takes no time.
_MOST_LAYERS = 48
_MOST_PATCHES = 128
# Lowering a stage and planning its memory takes a while.
_MOST_TRIED = 60


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Steps with their plan; the first ones may form a stage."""

    steps: Sequence[Step]
    plan: Plan
    stage: Stage | None = None


Planner = Callable[[Sequence[Step], Stage | None], Planned]


def in_patches(
    graph: Graph, steps: Sequence[Step], target: Target, planner: Planner, *, whole: Planned, most: int | None
) -> Planned:
    """The network with its first layers in patches, such that its arena is the smallest, or `whole`.

    steps: one for each operator; whole: what `planner` makes of them; most: patches there may be, None for any number.
    """
    found = whole
    drafts = [(_least_bytes(draft, whole), draft) for draft in find_drafts(graph, most)]
    for least_bytes, draft in sorted(drafts, key=lambda each: (each[0], each[1].rank))[:_MOST_TRIED]:
        if least_bytes >= found.plan.arena_bytes:
            break
        lowered = draft.lower(steps, target)
        tried = found if lowered is None else planner(lowered, draft.stage)
        if tried.plan.arena_bytes < found.plan.arena_bytes:
            found = tried
    return found


def _least_bytes(draft: "Draft", whole: Planned) -> int:
    """What the stage needs at least, or what the layers behind it need."""
    last = draft.operators[-1].index
    behind = (need for step, need in zip(whole.steps, whole.plan.needs, strict=True) if step.operator.index > last)
    return max(draft.least_bytes, *behind, 0)


def find_drafts(graph: Graph, most: int | None = None) -> Iterator["Draft"]:
    """The stages that the network may begin with; most: patches there may be, None for any number."""
    for depth in _depths(graph):
        operators = graph.operators[:depth]
        reaches = tuple(reach for operator in operators if (reach := reach_of(operator)) is not None)
        height = operators[-1].output.shape[1]
        least = -(-height // min(most or _MOST_PATCHES, _MOST_PATCHES))
        for rows in (least, *(each for each in _ROWS if each > least)):
            spans = plan_rows(operators, reaches, rows)
            if spans is not None and len(spans[operators[-1].output.index]) > 1:
                yield Draft(operators=operators, reaches=reaches, spans=spans, stage=_stage(operators, spans, rows))


def _depths(graph: Graph) -> Iterator[int]:
    """How many of the first operators may form a stage: they read one activation, and one comes out of them."""
    if not graph.operators:
        return
    first, ends = graph.operators[0].activations[:1], {tensor.index for tensor in graph.outputs}
    inside: set[int] = set()
    for depth, operator in enumerate(graph.operators[:_MOST_LAYERS], 1):
        known = {*inside, *(tensor.index for tensor in first)}
        if reach_of(operator) is None or any(tensor.index not in known for tensor in operator.activations):
            return
        inside.add(operator.output.index)
        later = ends | {tensor.index for each in graph.operators[depth:] for tensor in each.activations}
        if inside & later == {operator.output.index}:
            yield depth


def _stage(operators: Sequence[Operator], spans: Spans, rows: int) -> Stage:
    source, output = operators[0].activations[0], operators[-1].output
    inner = [operator.output for operator in operators[:-1]]
    most = {tensor.index: max(span.end - span.first for span in spans[tensor.index]) for tensor in inner}
    middle = len(spans[output.index]) // 2
    return Stage(
        depth=len(operators),
        patches=len(spans[output.index]),
        rows=rows,
        source=source.index,
        output=output.index,
        advances={
            tensor.index: (spans[tensor.index][middle].first - spans[tensor.index][middle - 1].first) * _row(tensor)
            for tensor in (source, output)
        },
        bytes={tensor.index: most[tensor.index] * _row(tensor) for tensor in inner},
        kept=frozenset(
            tensor.index for tensor in inner if any(span.first < span.start for span in spans[tensor.index])
        ),
    )


def _row(tensor: Tensor) -> int:
    """Bytes of a row."""
    return tensor.bytes // tensor.shape[1]


@dataclass(frozen=True, kw_only=True)
class _Form:
    """Rows of inputs and outputs in one call, and the padding before and after those of the inputs."""

    inputs: int
    outputs: int
    pads: tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Draft:
    """A stage before its steps are lowered."""

    operators: Sequence[Operator]
    reaches: Sequence[Reach]
    spans: Spans
    stage: Stage

    @property
    def rank(self) -> tuple[int, int]:
        """Of drafts that need as much memory, the one with the fewest patches of the fewest layers comes first."""
        return self.stage.patches, self.stage.depth

    @property
    def lag(self) -> int:
        """How far the stage's output stays behind its input: in each patch all else is read before it is written."""
        source, output = self.operators[0].activations[0], self.operators[-1].output
        direct = any(tensor.index == source.index for tensor in self.operators[-1].activations)
        firsts = [span.first for span in self.spans[source.index]]
        ends = [span.end for span in self.spans[output.index]]
        needed = firsts if direct else firsts[1:]
        return max(end * _row(output) - first * _row(source) for end, first in zip(ends, needed, strict=False))

    @property
    def least_bytes(self) -> int:
        """Of the stage alone: its input, its output, what stays from patch to patch, and the largest of the others."""
        source, output = self.operators[0].activations[0], self.operators[-1].output
        ends = max(source.bytes + max(self.lag, 0), output.bytes)
        sizes = {index: -(-size // ALIGNMENT) * ALIGNMENT for index, size in self.stage.bytes.items()}
        kept = sum(sizes[index] for index in self.stage.kept)
        return ends + kept + max((size for index, size in sizes.items() if index not in self.stage.kept), default=0)

    def lower(self, steps: Sequence[Step], target: Target) -> tuple[Step, ...] | None:
        """All steps, the first ones in patches; None where the patches of a layer need different kernels."""
        found = []
        for number in range(self.stage.depth):
            step = self._lower(steps[number], number, target)
            if step is None:
                return None
            found.append(step)
        return (*found, *steps[self.stage.depth :])

    def _lower(self, whole: Step, number: int, target: Target) -> Step | None:
        operator, patches = whole.operator, range(self.stage.patches)
        forms = [self._form(number, patch) for patch in patches]
        lowered = {form: lower(self._strip(number, form), target) for form in forms if form is not None}
        call = _joined([step.calls for step in lowered.values()])
        if call is None:
            return None
        parts = tuple(
            self._part(number, patch, {} if form is None else lowered[form].calls[0].parameters)
            for patch, form in zip(patches, forms, strict=True)
        )
        # Kernels tell how close addresses of inputs and outputs may be, not memories in which they move.
        moving = {index for part in parts for index, start in part.starts.items() if start} | {*self.stage.advances}
        level = [
            tensor for tensor in operator.activations if not moving.intersection((tensor.index, operator.output.index))
        ]
        return replace(
            whole,
            calls=(call,),
            parts=parts,
            overwrites=tuple(each for each in level if all(_overwrites(step, each) for step in lowered.values())),
            trails=tuple(self._trails(number, level, list(lowered.values()))),
        )

    def _form(self, number: int, patch: int) -> _Form | None:
        """None where the layer has no rows left."""
        operator, reach = self.operators[number], self.reaches[number]
        span, height = self.spans[operator.output.index][patch], operator.activations[0].shape[1]
        if span.start == span.end:
            return None
        first, end = reach.first(span.start), reach.end(span.end)
        return _Form(
            inputs=min(end, height) - max(first, 0),
            outputs=span.end - span.start,
            pads=(max(-first, 0), max(end - height, 0)),
        )

    def _strip(self, number: int, form: _Form) -> Operator:
        """The operator as if its rows were all there are."""
        operator, columns = self.operators[number], self.reaches[number].columns
        inputs = tuple(
            tensor if tensor is None or tensor.data is not None else _of_rows(tensor, form.inputs)
            for tensor in operator.inputs
        )
        outputs = (_of_rows(operator.output, form.outputs),)
        return replace(operator, inputs=inputs, outputs=outputs, pads=(form.pads, columns or (0, 0)), pads_only=True)

    def _part(self, number: int, patch: int, parameters: dict[str, int]) -> Part:
        operator, stage = self.operators[number], self.stage
        spans = self.spans[operator.output.index]
        span, before = spans[patch], spans[max(patch - 1, 0)]
        kept_bytes = (span.start - span.first) * _row(operator.output) if operator.output.index in stage.kept else 0
        first = max(self.reaches[number].first(span.start), 0)
        rows = {tensor: (first, self.spans[tensor.index][patch].first) for tensor in operator.activations}
        rows[operator.output] = (span.start, span.first)
        starts = {
            tensor.index: (row - (top if tensor.index in stage.bytes else 0)) * _row(tensor)
            - patch * stage.advances.get(tensor.index, 0)
            for tensor, (row, top) in rows.items()
        }
        return Part(
            rows=span.end - span.start,
            parameters=parameters,
            starts=starts if span.start < span.end else {},
            kept_from=(span.first - before.first) * _row(operator.output) if kept_bytes else 0,
            kept_bytes=kept_bytes,
        )

    def _trails(self, number: int, level: Sequence[Tensor], lowered: Sequence[Step]) -> Iterator[Trail]:
        for tensor in level:
            lags = [trail.lag for step in lowered for trail in step.trails if trail.tensor.index == tensor.index]
            if len(lags) == len(lowered):
                yield Trail(tensor=tensor, lag=max(lags))
        if number == self.stage.depth - 1:
            yield Trail(tensor=self.operators[0].activations[0], lag=self.lag)


def _of_rows(tensor: Tensor, rows: int) -> Tensor:
    return replace(tensor, shape=(tensor.shape[0], rows, *tensor.shape[2:]))


def _overwrites(step: Step, tensor: Tensor) -> bool:
    return any(each.index == tensor.index for each in step.overwrites)


def _joined(calls: Sequence[tuple[Call, ...]]) -> Call | None:
    """One call for all patches, with the first one's parameters; None where they differ in more than these."""
    if any(len(each) != 1 for each in calls):
        return None
    first, *others = (each[0] for each in calls)
    for other in others:
        if any(getattr(first, name) != getattr(other, name) for name in ("kernel", "record", "reals")):
            return None
        if not all(_agree(*pair) for pair in zip(first.arguments, other.arguments, strict=True)):
            return None
    sizes = [item.size for call in (first, *others) for item in call.arguments if isinstance(item, Scratch)]
    arguments = (Scratch(size=max(sizes)) if isinstance(item, Scratch) else item for item in first.arguments)
    return replace(first, arguments=tuple(arguments))


def _agree(one: Argument, other: Argument) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.index == other.index
    if isinstance(one, Constant) and isinstance(other, Constant):
        return one.name == other.name and np.array_equal(one.values, other.values)
    return (isinstance(one, Scratch) and isinstance(other, Scratch)) or one == other
