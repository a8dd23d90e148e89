"""The turns of a layer's loops, for every operator and every CPU that networks are compiled for."""

import math
from pathlib import Path

import pytest
from random_models import MODELS, NETWORK, draw_models

from tinynas.compiler import TARGETS, compile_network
from tinynas.errors import CandidateError
from tinynas.estimate.loops import FREE, work_of

REFERENCE = Path(__file__).parents[3] / "shared" / "models"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", [*MODELS, NETWORK])
def test_every_layer_has_turns_that_are_numbers(name, target):
    for tflite in draw_models(name, 2):
        try:
            program = compile_network(tflite, target=target, keep_constant_channels=True)
        except CandidateError:
            continue
        works = work_of(program)
        assert len(works) == len(program.layers)
        for work, calls in zip(works, program.calls, strict=True):
            assert (work.kind == FREE) == (not calls)
            assert all(turns >= 0 and math.isfinite(turns) for turns in work.counts.values()), work


def test_layers_of_a_family_count_the_same_loops():
    names = {}
    for tflite in (*draw_models("CONV_2D", 6), *draw_models("FULLY_CONNECTED", 6), *draw_models(NETWORK, 6)):
        for work in work_of(compile_network(tflite, target="cortex-m4", keep_constant_channels=True)):
            assert names.setdefault(work.family, list(work.counts)) == list(work.counts)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference networks are not beside the checkout")
def test_a_convolution_that_adds_counts_its_own_loops_and_what_it_adds():
    program = compile_network((REFERENCE / "ic.tflite").read_bytes(), target="cortex-m4")
    adding = [work for work in work_of(program) if work.family == "_pair_conv_quads_add"]
    assert [work.counts["values"] for work in adding] == [16384, 8192, 4096]
    assert all(work.counts["products"] > 0 for work in adding)


def test_a_kernel_that_one_layer_calls_alone_is_another_kind():
    found = set()
    for tflite in draw_models(NETWORK, 40):
        works = work_of(compile_network(tflite, target="cortex-m4", keep_constant_channels=True))
        kinds = [work.kind for work in works if work.kind.startswith("tn_pair_conv")]
        for kind in kinds:
            alone = kind.endswith("-alone")
            assert kinds.count(kind) == 1 or not alone
            found.add(alone)
    assert found == {True, False}
