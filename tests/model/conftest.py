"""What is learned from in the tests of models."""

import pytest

from tinynas.config import TaskSection


@pytest.fixture(scope="session")
def digits():
    from tinynas.model.data import load_task

    return load_task(TaskSection(name="digits"), 0)


@pytest.fixture(scope="session")
def architecture():
    """A residual separable network for digits: every kind of layer that image networks are made of."""
    from tinynas.space.architecture import Builder

    build = Builder((8, 8, 1), 10)
    last = build.conv(0, 12, 3)
    last = build.conv(build.depthwise(last, 3, 2), 16)
    narrow = build.conv(build.depthwise(build.conv(last, 32)), 16, activation="none")
    last = build.add(last, narrow, activation="relu6")
    return build.finish(build.global_avg_pool(last))


@pytest.fixture(scope="session")
def trained(tensorflow, digits, architecture):
    """(model, record, int8 .tflite) of one training on digits."""
    from tinynas.model.build import build
    from tinynas.model.quantize import quantize
    from tinynas.model.train import train

    model = build(architecture, seed=1)
    record = train(model, digits, epochs=12, learning_rate=1e-2, batch_size=32, patience=12, seed=1)
    return model, record, quantize(model, digits.train.x[:200])
