"""How well networks do with shared weights: on which samples, and by which measure."""

import numpy as np
import pytest

from tinynas.space.genome import smallest
from tinynas.space.registry import load_space


def test_the_loss_is_on_samples_that_were_not_trained_on_while_there_are_enough(tensorflow):
    from tinynas.model.shared_loss import held_out
    from tinynas.model.splits import stratified_subset

    y = np.arange(1000) % 10
    chosen = held_out(y, 600, seed=5, count=300)
    assert len(set(chosen)) == 300
    assert not set(chosen) & set(stratified_subset(y, 600, 5))
    assert len(held_out(y, None, seed=5, count=300)) == 300


def test_the_cross_entropy_of_networks_that_know_nothing_is_that_of_guessing(tensorflow, digits):
    from tinynas.model.shared import Shared, layer_parts
    from tinynas.model.shared_loss import cross_entropy

    network = load_space("mobilenet").decode(smallest(load_space("mobilenet")), digits.input_shape, 10)
    shared = Shared(seed=0)
    shared.weights(network)
    for part, _ in layer_parts(network, len(network.layers) - 1):
        shared.part(part)[...] = 0.0
    assert cross_entropy(shared, network, digits.train.x[:64], digits.train.y[:64]) == pytest.approx(np.log(10))
