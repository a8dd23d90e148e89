"""Constant and unread channels: what is left out changes no output, and what is known of the others is true."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import reference_outputs
from hypothesis import HealthCheck, Phase, given, seed, settings
from planted import Network, networks

from tinynas.compiler import compile_network
from tinynas.compiler.graph import read_graph
from tinynas.compiler.passes import drop_constant_channels
from tinynas.compiler.passes.facts import find_facts

MODELS = Path(__file__).parents[3] / "shared" / "models"
needs_references = pytest.mark.skipif(not MODELS.is_dir(), reason="the reference networks are not beside the checkout")


def drawn(count: int) -> list[Network]:
    """`count` random networks, the same every time."""
    found: list[Network] = []

    @seed(1)
    @settings(
        max_examples=count,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(networks())
    def collect(network: Network) -> None:
        found.append(network)

    collect()
    return found


def macs(tflite: bytes, **arguments: Any) -> int:
    return sum(layer.macs for layer in compile_network(tflite, **arguments).layers)


def test_networks_with_planted_channels_give_the_references_outputs(check_equal: Callable[..., None]) -> None:
    models = [network.model() for network in drawn(150)]
    smaller = [model for model in models if macs(model) < macs(model, keep_constant_channels=True)]
    assert len(smaller) > 50
    check_equal(models, "planted")


def test_no_value_leaves_its_interval() -> None:
    constants, values = 0, 0
    for network in drawn(60):
        facts = find_facts(read_graph(network.model()))
        size = int(np.prod(network.tensors[0].shape))
        inputs = np.random.default_rng(size).integers(-128, 128, (5, size)).astype(np.int8)
        inputs[0], inputs[1] = -128, 127
        for number in network.activations():
            interval = facts.intervals[number]
            found = reference_outputs(network.model(number), inputs).reshape(-1, len(interval.low))
            assert np.all((interval.low <= found) & (found <= interval.high)), network.operations
            constants, values = constants + int(interval.constant.sum()), values + len(interval.low)
    assert values * 0.05 < constants < values * 0.95


def test_a_second_pass_finds_nothing() -> None:
    for network in drawn(60):
        once = drop_constant_channels(read_graph(network.model()))
        assert drop_constant_channels(once) is once


@needs_references
@pytest.mark.parametrize("name", ["ad", "ic", "kws", "sww"])
def test_a_network_without_such_channels_stays_as_it_is(name: str) -> None:
    tflite = (MODELS / f"{name}.tflite").read_bytes()
    assert compile_network(tflite) == compile_network(tflite, keep_constant_channels=True)


@needs_references
def test_half_the_work_of_vww_goes_away(check_equal: Callable[..., None]) -> None:
    tflite = (MODELS / "vww.tflite").read_bytes()
    assert macs(tflite, keep_constant_channels=True) == 7_489_664
    assert macs(tflite) <= 3_766_476
    assert compile_network(tflite).constants_bytes <= 41_500
    started = time.process_time()
    drop_constant_channels(read_graph(tflite))
    # Far above what it takes, 0.03 s.
    assert time.process_time() - started < 1
    check_equal([tflite], samples=10)


@needs_references
def test_the_generated_code_tells_what_was_left_out() -> None:
    program = compile_network((MODELS / "vww.tflite").read_bytes())
    assert program.channels_left_out > 2000
    assert f" * Left out {program.channels_left_out:,} channels" in program.files["network.h"].decode()
    source = program.files["network.c"].decode().replace("\n *", "")
    assert "68 of 128 input channels and 96 of 128 output channels left out: constant or unread. 69,120 MAC" in source
    whole = compile_network((MODELS / "vww.tflite").read_bytes(), keep_constant_channels=True)
    assert whole.channels_left_out == 0
    assert b"left out" not in b"".join(whole.files.values())
