"""Space `cell`: one small graph of operations, repeated, as in NAS-Bench-201 (Dong and Yang 2020).

A stem, then three stages of N equal cells with C, 2C and 4C channels, between them residual blocks that halve the
resolution. A cell has four nodes; each of its six edges carries one operation, and a node is the sum of the edges that
lead to it. Unlike there, a convolution is followed by its ReLU and not preceded by it, so that both are one operator.

Cells are brought into a normal form (`form_of`) before anything is built, so that encodings whose forms are equal give
one network and have one key.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from tinynas.errors import CandidateError
from tinynas.space.architecture import Architecture, Builder
from tinynas.space.genome import Axis, Genome, named, require_inside

_NONE, _SKIP, _CONV_1X1, _CONV_3X3, _POOL = range(5)
_WEIGHTLESS = (_SKIP, _POOL)
_NODES = 4
_OUTPUT = _NODES - 1
# The edges by (from, to), in the order of NAS-Bench-201's strings.
_EDGES = tuple((source, node) for node in range(1, _NODES) for source in range(node))
_STAGES = 3

_CELLS = (1, 2, 3, 5)
_AXES = (
    # The input is averaged over windows of this size before anything else.
    Axis(name="reduce", choices=(1, 2, 4)),
    Axis(name="channels", choices=(4, 8, 12, 16, 24)),
    Axis(name="cells", choices=_CELLS),
    *(
        Axis(name=f"edge_{a}_{b}", choices=(_NONE, _SKIP, _CONV_1X1, _CONV_3X3, _POOL), ordered=False)
        for a, b in _EDGES
    ),
)


class Term(NamedTuple):
    """What one edge adds to a node: `op` of the value of node `source`."""

    source: int
    op: int


Terms = tuple[Term, ...]
# The terms of the nodes 1, 2, ..., the cell's output last; node 0 is the cell's input. Empty: no output.
Form = tuple[Terms, ...]

_IDENTITY: Form = ((Term(0, _SKIP),),)


def form_of(operations: tuple[int, ...]) -> Form:
    """The normal form of a cell with one operation for each of `_EDGES`.

    Each step keeps what the cell computes. Edges that carry nothing go, and nodes that get or give nothing. A
    node that is a mere copy is its source, and one that is read unchanged becomes part of the sum that reads it. What
    another node computes as well without weights is read from there. What is left is numbered in the order that makes
    the smallest tuple.
    """
    nodes: dict[int, list[Term]] = {node: [] for node in range(1, _NODES)}
    for (source, node), op in zip(_EDGES, operations, strict=True):
        if op != _NONE:
            nodes[node].append(Term(source, op))
    while _reduced(nodes):
        pass
    return _numbered(nodes)


def _reduced(nodes: dict[int, list[Term]]) -> bool:
    """Take one step, in place; False where none is left to take. The output node stays."""
    for terms in nodes.values():
        for term in terms:
            if term.source and not nodes.get(term.source):
                terms.remove(term)
                return True
    for node, terms in nodes.items():
        if node == _OUTPUT:
            continue
        reads = [term.op for each in nodes.values() for term in each if term.source == node]
        if not reads or not terms:
            del nodes[node]
            return True
        if len(terms) == 1 and terms[0].op == _SKIP:
            _read_instead(nodes, node, terms[0].source)
            return True
        # What is read unchanged may be added where it is read; more than once only if it has no weights.
        if set(reads) == {_SKIP} and (len(reads) == 1 or [term.op for term in terms] == [_POOL]):
            _dissolve(nodes, node)
            return True
    return _shared(nodes)


def _dissolve(nodes: dict[int, list[Term]], node: int) -> None:
    """Have all readers of `node`, which take it as it is, add its terms themselves, in place."""
    own = nodes.pop(node)
    for other, terms in nodes.items():
        nodes[other] = [part for term in terms for part in (own if term.source == node else [term])]


def _shared(nodes: dict[int, list[Term]]) -> bool:
    """Read from a node what some other computes without weights, too, in place."""
    for node, other in itertools.permutations(nodes, 2):
        part = Counter(nodes[node])
        if node != _OUTPUT and part <= Counter(nodes[other]) and all(term.op in _WEIGHTLESS for term in part):
            nodes[other] = [*(Counter(nodes[other]) - part).elements(), Term(node, _SKIP)]
            return True
    return False


def _read_instead(nodes: dict[int, list[Term]], node: int, source: int) -> None:
    """Take `node` away, and have `source` read in its place."""
    del nodes[node]
    for other, terms in nodes.items():
        nodes[other] = [term._replace(source=source) if term.source == node else term for term in terms]


def _numbered(nodes: dict[int, list[Term]]) -> Form:
    if not nodes[_OUTPUT]:
        return ()
    forms = []
    for order in itertools.permutations(node for node in nodes if node != _OUTPUT):
        numbers = {0: 0, **{node: number for number, node in enumerate(order, start=1)}}
        if all(numbers[term.source] < numbers[node] for node in order for term in nodes[node]):
            terms = ([term._replace(source=numbers[term.source]) for term in nodes[node]] for node in (*order, _OUTPUT))
            forms.append(tuple(tuple(sorted(each)) for each in terms))
    return min(forms)


@functools.cache
def _encodings() -> dict[Form, tuple[int, ...]]:
    """The least encoding of each form, out of all 15,625."""
    least: dict[Form, tuple[int, ...]] = {}
    for operations in itertools.product(range(5), repeat=len(_EDGES)):
        least.setdefault(form_of(operations), operations)
    return least


def _fewest(form: Form, cells: int) -> tuple[Form, int]:
    """The same stage of the fewest cells, where that is not `cells`: a copy is any number of cells, and of cells whose
    nodes read nothing but the node before, two may fit into one. Those of any other form have too many nodes for that.
    """
    if not form or form == _IDENTITY:
        return form, min(_CELLS)
    if any(term.source != node for node, terms in enumerate(form) for term in terms):
        return form, cells
    word = [[term.op for term in terms] for terms in form] * cells
    for fewer in sorted(_CELLS):
        length, rest = divmod(len(word), fewer)
        whole = tuple(tuple(Term(node, op) for op in ops) for node, ops in enumerate(word[:length]))
        if not rest and word == word[:length] * fewer and whole in _encodings():
            return whole, fewer
    return form, cells


class CellSpace:
    """See the module."""

    name = "cell"
    axes = _AXES
    # Resolution and width, by which tinynas refine divides it.
    scales = ("reduce", "channels")
    # What tinynas screen times: operations that a board may do badly. The others multiply nothing.
    operators: ClassVar[Mapping[str, tuple[int, ...]]] = {"edge": (_CONV_1X1, _CONV_3X3)}

    def operator(self, build: Builder, source: int, name: str, choice: int) -> int:
        """What a choice of `operators` adds to a network, with as many channels as its input has."""
        del name
        return _operation(build, source, choice, {})

    def canonical(self, genome: Genome) -> Genome:
        require_inside(self, genome)
        reduce, channels, cells, *operations = genome.values
        form = form_of(tuple(operations))
        if not form:
            # No network at all, whatever the other axes say.
            reduce, channels = _AXES[0].choices[0], _AXES[1].choices[0]
        form, cells = _fewest(form, cells)
        return Genome(self.name, (reduce, channels, cells, *_encodings()[form]))

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        require_inside(self, genome)
        genes = named(self, genome)
        form = form_of(genome.values[3:])
        if not form:
            raise CandidateError(f"genome {genome.key}: no path leads through its cell")
        build = Builder(input_shape, classes)
        last = 0
        if genes["reduce"] > 1:
            last = build.avg_pool(last, genes["reduce"], genes["reduce"])
        last = build.conv(last, genes["channels"], 3)
        for stage in range(_STAGES):
            if stage:
                last = _halving(build, last)
            for _ in range(genes["cells"]):
                last = _cell(build, last, form)
        return build.finish(build.global_avg_pool(last))


def _cell(build: Builder, source: int, form: Form) -> int:
    values = [source]
    pooled: dict[int, int] = {}
    for terms in form:
        parts = [_operation(build, values[term.source], term.op, pooled) for term in terms]
        values.append(functools.reduce(build.add, parts))
    return values[-1]


def _operation(build: Builder, source: int, op: int, pooled: dict[int, int]) -> int:
    if op == _SKIP:
        return source
    if op == _POOL:
        if source not in pooled:
            pooled[source] = build.avg_pool(source, 3, 1, padding="same")
        return pooled[source]
    return build.conv(source, build.shape(source)[-1], 3 if op == _CONV_3X3 else 1)


def _halving(build: Builder, source: int) -> int:
    """A residual block (ResNet: He et al. 2016) that doubles the channels and halves the resolution."""
    filters = 2 * build.shape(source)[-1]
    deep = build.conv(build.conv(source, filters, 3, 2), filters, 3, activation="none")
    short = build.conv(build.avg_pool(source, 2, 2, padding="same"), filters, activation="none")
    return build.add(deep, short, activation="relu")


SPACE = CellSpace()
