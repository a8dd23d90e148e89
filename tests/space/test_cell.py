"""Cells in normal form: equal networks have equal keys, over all cells that there are."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynas.errors import CandidateError
from tinynas.space.cell import SPACE, Term, form_of
from tinynas.space.genome import Genome

NONE, SKIP, CONV_1X1, CONV_3X3, POOL = range(5)
EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
operations = st.tuples(*(st.integers(0, 4) for _ in EDGES))


def genome(cell, cells=1, channels=4):
    return Genome("cell", (1, channels, cells, *cell))


def network(cell, cells=1):
    return SPACE.decode(genome(cell, cells), (8, 8, 1), 3)


def reaches_the_output(cell):
    reached = {0}
    for (source, node), op in zip(EDGES, cell, strict=True):
        if op != NONE and source in reached:
            reached.add(node)
    return 3 in reached


def test_the_keys_of_all_cells_are_one_to_one_with_their_networks():
    keys, canonical = {}, {}
    for cell in itertools.product(range(5), repeat=6):
        canonical.setdefault(SPACE.canonical(genome(cell)), cell)
    connected = [cell for cell in canonical.values() if reaches_the_output(cell)]
    assert (len(canonical), len(connected)) == (5260, 5259)
    # Only a cell of one sum can be part of another cell.
    several = itertools.product((cell for cell in connected if len(form_of(cell)) == 1), (2, 3))
    for cell, cells in (*((cell, 1) for cell in connected), *several):
        key = SPACE.canonical(genome(cell, cells)).key
        assert keys.setdefault(network(cell, cells), key) == key
    assert len(set(keys.values())) == len(keys)


@given(cell=operations, cells=st.sampled_from([1, 2, 3, 5]))
def test_the_canonical_genome_builds_the_same_network(cell, cells):
    found = SPACE.canonical(genome(cell, cells))
    assert SPACE.canonical(found) == found
    if reaches_the_output(cell):
        assert SPACE.decode(found, (8, 8, 1), 3) == network(cell, cells)


def test_cells_without_a_path_are_refused_and_have_one_key():
    cut = [cell for cell in itertools.product(range(5), repeat=6) if not reaches_the_output(cell)]
    # As many as in the table of NAS-Bench-201.
    assert len(cut) == 341
    assert len({SPACE.canonical(genome(cell, cells, 8)) for cell in cut for cells in (1, 3)}) == 1
    with pytest.raises(CandidateError, match="no path leads through its cell"):
        network(cut[0])


FACTORS = {SKIP: 1.0, POOL: 0.3}


def value(cell, x):
    """What a cell without weights computes, if pooling were a factor; None for nothing."""
    nodes = [x, None, None, None]
    for (source, node), op in zip(EDGES, cell, strict=True):
        if op != NONE and nodes[source] is not None:
            nodes[node] = (nodes[node] or 0.0) + FACTORS[op] * nodes[source]
    return nodes[3]


def value_of_form(form, x):
    nodes = [x]
    for terms in form:
        nodes.append(sum(FACTORS[op] * nodes[source] for source, op in terms))
    return nodes[-1] if form else None


def test_the_normal_form_computes_what_the_cell_does():
    for cell in itertools.product((NONE, SKIP, POOL), repeat=6):
        assert value_of_form(form_of(cell), 1.7) == pytest.approx(value(cell, 1.7))


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        # A dead node takes its edges with it, and so does one that nobody reads.
        ((NONE, NONE, CONV_3X3, CONV_1X1, CONV_3X3, POOL), ((Term(0, CONV_1X1),),)),
        ((CONV_3X3, CONV_3X3, CONV_3X3, SKIP, NONE, NONE), ((Term(0, SKIP),),)),
        # The two inner nodes change places.
        ((CONV_1X1, NONE, NONE, NONE, CONV_3X3, NONE), ((Term(0, CONV_1X1),), (Term(1, CONV_3X3),))),
        ((NONE, CONV_1X1, NONE, NONE, NONE, CONV_3X3), ((Term(0, CONV_1X1),), (Term(1, CONV_3X3),))),
        # Two convolutions of the same input stay two: their weights differ.
        ((CONV_1X1, CONV_1X1, NONE, NONE, SKIP, SKIP), ((Term(0, CONV_1X1), Term(0, CONV_1X1)),)),
        # x + x is no copy of x.
        ((SKIP, NONE, NONE, SKIP, SKIP, NONE), ((Term(0, SKIP), Term(0, SKIP)),)),
    ],
)
def test_normal_forms(cell, form):
    assert form_of(cell) == form


def test_two_cells_of_one_operation_are_one_cell_of_two():
    one, two = (NONE, NONE, NONE, CONV_3X3, NONE, NONE), (CONV_3X3, NONE, NONE, NONE, CONV_3X3, NONE)
    assert SPACE.canonical(genome(one, 2)) == SPACE.canonical(genome(two, 1))
    assert network(one, 2) == network(two, 1)


def test_a_pooling_that_two_sums_read_is_computed_once():
    layers = network((POOL, SKIP, SKIP, NONE, SKIP, CONV_1X1)).layers
    assert sum(layer.op == "avg_pool" and layer.kernel == (3, 3) for layer in layers) == 3


def test_every_cell_of_the_last_stage_has_four_times_the_channels():
    layers = network((NONE, NONE, NONE, CONV_3X3, NONE, NONE), cells=3).layers
    assert layers[-2].op == "global_avg_pool"
    assert [layer.shape for layer in layers[-5:-2]] == [(2, 2, 16)] * 3
