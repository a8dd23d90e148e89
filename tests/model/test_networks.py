"""Architecture -> Keras -> int8: built, trained, quantized and scored."""

import hashlib
import random
import subprocess
import sys

import numpy as np
import pytest

from tinynas.config import TaskSection
from tinynas.errors import CandidateError, MalformedModelError, UnsupportedError
from tinynas.model.data import Split, Task
from tinynas.space.architecture import Architecture, Builder, Layer
from tinynas.space.genome import random_genome
from tinynas.space.registry import load_space

COMPILED = {
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "ADD",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "MEAN",
    "PAD",
    "RESHAPE",
    "SOFTMAX",
    "RELU",
    "RELU6",
    "CONCATENATION",
    "QUANTIZE",
}


def graph_of(tflite):
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite, 0))
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    graph = model.subgraphs[0]
    return graph, [names[codes[operator.opcodeIndex]] for operator in graph.operators]


def random_task(shape, classes=3, count=48):
    rng = np.random.default_rng(0)
    split = Split(x=rng.normal(size=(count, *shape)).astype(np.float32), y=np.arange(count) % classes)
    return Task(
        name="noise",
        input_shape=shape,
        class_names=tuple("abcdefghij"[:classes]),
        train=split,
        val=split,
        test=split,
        offset=(0.0,),
        scale=(1.0,),
        digest="",
        source="",
        features="",
        dropped=0,
    )


def test_a_network_learns_digits_and_stays_good_as_int8(trained, digits):
    from tinynas.model.score import score

    _, record, tflite = trained
    assert record.val_accuracy_float > 0.93
    assert score(tflite, digits.test.x, digits.test.y) > 0.92
    assert record.val_accuracy_float == max(epoch.val_accuracy for epoch in record.history)
    assert record.samples == len(digits.train.y)


def test_the_same_seed_gives_the_same_network_to_the_last_bit_and_another_seed_another(
    tensorflow, digits, architecture
):
    from tinynas.model.build import build
    from tinynas.model.quantize import quantize
    from tinynas.model.train import train

    def once(seed):
        model = build(architecture, seed)
        record = train(model, digits, epochs=2, samples=320, seed=seed)
        return quantize(model, digits.train.x[:50]), [epoch.loss for epoch in record.history]

    assert once(3) == once(3)
    assert once(3) != once(4)


def small_digest():
    """SHA-256 of a network made from nothing, with one thread."""
    from tinynas.model.process import configure_process

    configure_process()
    from tinynas.model.build import build
    from tinynas.model.data import load_task
    from tinynas.model.quantize import quantize
    from tinynas.model.train import train

    digits, maker = load_task(TaskSection(name="digits"), 0), Builder((8, 8, 1), 10)
    model = build(maker.finish(maker.global_avg_pool(maker.conv(0, 8, 3))), 5)
    train(model, digits, epochs=2, samples=320, seed=5)
    return hashlib.sha256(quantize(model, digits.train.x[:50])).hexdigest()


def test_a_fresh_process_gives_the_same_network_and_says_nothing(tensorflow):
    script = f"import runpy; print(runpy.run_path({__file__!r})['small_digest'](), end='')"
    fresh = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert fresh.stdout.decode() == small_digest()
    assert fresh.stderr == b""


def test_training_stops_when_nothing_improves_and_keeps_the_best_weights(tensorflow, digits, architecture):
    from tinynas.model.build import build
    from tinynas.model.train import predictor, train

    model = build(architecture, 1)
    record = train(
        model, digits, epochs=40, samples=160, batch_size=16, learning_rate=0.02, patience=2, seed=0, val_samples=60
    )
    assert record.epochs_run == record.best_epoch + 2 < 40
    right = predictor(model)(digits.val.x[:60]).argmax(axis=1) == digits.val.y[:60]
    assert right.mean() == record.val_accuracy_float


def test_diverged_training_is_the_candidates_fault(tensorflow, digits):
    from tinynas.model.build import build
    from tinynas.model.train import train

    maker = Builder((8, 8, 1), 10)
    model = build(maker.finish(maker.dense(maker.flatten(0), 8, activation="none")), 0)
    with pytest.raises(CandidateError, match=r"training diverged in epoch 1: its loss is (nan|inf); lower"):
        train(model, digits, epochs=1, learning_rate=1e30, batch_size=16, seed=0)


def test_inputs_outputs_and_weights_are_int8_with_batch_one(trained):
    graph, operators = graph_of(trained[2])
    assert set(operators) <= COMPILED
    int8, int32 = 9, 2
    for index in (*graph.inputs, *graph.outputs):
        assert graph.tensors[index].type == int8
        assert graph.tensors[index].shape[0] == 1
    assert {tensor.type for tensor in graph.tensors} == {int8, int32}
    kernel = graph.tensors[graph.operators[0].inputs[1]]
    assert len(kernel.quantization.scale) == 12


@pytest.mark.parametrize(
    ("space", "shape"),
    [
        ("image", (16, 16, 1)),
        ("image", (12, 14, 3)),
        ("mobilenet", (12, 14, 3)),
        ("cell", (12, 14, 3)),
        ("series", (40, 6)),
        ("series", (30, 12, 1)),
        ("mlp", (20,)),
    ],
)
def test_what_the_spaces_decode_to_converts_to_operators_of_the_compiler(tensorflow, space, shape):
    from tinynas.model.build import build
    from tinynas.model.quantize import quantize, quantize_for
    from tinynas.model.score import run_reference

    chosen, rng, task = load_space(space), random.Random(7), random_task(shape)
    tried = 0
    while tried < 3:
        try:
            architecture = chosen.decode(random_genome(chosen, rng), shape, 3)
        except CandidateError:
            continue
        if architecture.macs > 500_000:
            continue
        tried += 1
        model = build(architecture, 0)
        for layer in architecture.layers:
            assert model.get_layer(layer.name).output_shape in (
                (None, *layer.shape),
                [(None, *layer.shape)],
            )
        tflite = quantize(model, task.train.x[:8])
        assert set(graph_of(tflite)[1]) <= COMPILED
        assert run_reference(tflite, quantize_for(tflite, task.val.x[:2])).shape == (2, 3)


def test_quantization_aware_training_gives_an_int8_network_about_as_good(trained, digits):
    from tinynas.model.quantize import qat
    from tinynas.model.score import score

    model, record, tflite = trained
    before = [weights.copy() for weights in model.get_weights()]
    aware = qat(model, digits, epochs=2, learning_rate=5e-4, seed=0)
    graph, operators = graph_of(aware)
    assert set(operators) <= COMPILED
    assert {graph.tensors[index].type for index in (*graph.inputs, *graph.outputs)} == {9}
    assert aware != tflite
    assert score(aware, digits.val.x, digits.val.y) > record.val_accuracy_float - 0.03
    assert all((old == new).all() for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("head", ["flatten", "pool"])
def test_quantization_aware_training_leaves_no_float_operator_in_any_kind_of_network(tensorflow, head):
    from tinynas.model.build import build
    from tinynas.model.quantize import qat

    maker = Builder((24, 4), 3)
    last = maker.conv(0, 8, 5, 2, activation="relu6")
    last = maker.depthwise(maker.max_pool(last), 3, padding="valid")
    last = maker.avg_pool(last)
    last = maker.flatten(last) if head == "flatten" else maker.global_avg_pool(last)
    model = build(maker.finish(maker.dense(last, 8)), 0)
    graph, operators = graph_of(qat(model, random_task((24, 4)), epochs=1, seed=0))
    assert set(operators) <= COMPILED
    assert {tensor.type for tensor in graph.tensors} <= {9, 2}


def test_score_is_the_share_of_samples_whose_largest_reference_output_is_the_label(trained, digits):
    from tinynas.model.quantize import quantize_for
    from tinynas.model.score import run_reference, score

    x, y = digits.val.x[:80], digits.val.y[:80]
    outputs = run_reference(trained[2], quantize_for(trained[2], x))
    assert outputs.shape == (80, 10) and outputs.dtype == np.int8
    assert score(trained[2], x, y) == (outputs.argmax(axis=1) == y).mean()


def test_with_activations_of_16_bits_a_network_answers_as_it_was_trained(trained, digits):
    from tinynas.model.quantize import quantize, quantize_for
    from tinynas.model.score import run_reference, score
    from tinynas.model.train import predictor

    model = trained[0]
    wide = quantize(model, digits.train.x[:200], 16)
    graph, operators = graph_of(wide)
    assert set(operators) <= COMPILED
    # int8, int16, int32 and int64.
    assert {tensor.type for tensor in graph.tensors} <= {9, 7, 2, 4}
    x, y = digits.val.x[:80], digits.val.y[:80]
    outputs = run_reference(wide, quantize_for(wide, x)).view(np.int16)
    assert outputs.shape == (80, 10)
    assert score(wide, x, y) == (outputs.argmax(axis=1) == y).mean()
    scale = graph.tensors[graph.outputs[0]].quantization.scale[0]
    logits = predictor(model)(x)
    # What is left is the weights' rounding; a few values saturate.
    assert np.median(np.abs(outputs * scale - logits)) < 0.01 * np.abs(logits).max()


@pytest.mark.usefixtures("tensorflow")
def test_a_deep_untrained_network_has_activations_that_16_bits_can_hold_once_it_is_settled():
    from tinynas.model.build import build, settle
    from tinynas.model.quantize import quantize, quantize_for
    from tinynas.model.score import run_reference

    maker = Builder((4, 4, 1), 3)
    last = maker.conv(0, 64, activation="relu6")
    for _ in range(8):
        last = maker.conv(maker.depthwise(last, 3, activation="relu6"), 64, activation="relu6")
    model, x = build(maker.finish(maker.global_avg_pool(last)), 0), random_task((4, 4, 1)).train.x
    wide = quantize(model, x, 16)
    with pytest.raises(MalformedModelError, match="no_integer_overflow_from_quantization"):
        run_reference(wide, quantize_for(wide, x))
    settle(model, x)
    wide = quantize(model, x, 16)
    assert run_reference(wide, quantize_for(wide, x)).any()


def test_int8_inputs_are_rounded_to_even_and_saturate():
    from tinynas.model.quantize import quantize_input

    x = np.array([[0.0, 0.25, 0.75, 1.25], [-500, 500, 63.5, -64.0]], np.float32)
    assert quantize_input(x, 0.5, 1).tolist() == [[1, 1, 3, 3], [-128, 127, 127, -127]]


def test_the_networks_own_scale_quantizes_its_inputs(trained, digits):
    from tinynas.model.quantize import quantize_for

    graph, _ = graph_of(trained[2])
    quantization = graph.tensors[graph.inputs[0]].quantization
    quantized = quantize_for(trained[2], digits.val.x)
    back = (quantized.astype(np.float32) - quantization.zeroPoint[0]) * quantization.scale[0]
    assert np.abs(back - digits.val.x).max() <= 0.51 * quantization.scale[0]


def test_the_arena_holds_at_least_the_largest_pair_of_activations(trained, architecture):
    from tinynas.model.score import arena_bytes

    assert architecture.peak_activation_bytes < arena_bytes(trained[2]) < 100_000


def test_models_that_tflite_micro_cannot_use_are_refused(trained):
    from tinynas.model.quantize import quantize_for
    from tinynas.model.score import run_reference

    tflite = trained[2]
    with pytest.raises(MalformedModelError, match=r"inputs are int8, 49 B each, the model takes 64 B"):
        run_reference(tflite, np.zeros((1, 7, 7, 1), np.int8))
    with pytest.raises(MalformedModelError, match="inputs are float32"):
        run_reference(tflite, np.zeros((1, 8, 8, 1), np.float32))
    with pytest.raises(MalformedModelError, match="cannot be read"):
        quantize_for(b"", np.zeros((1, 8, 8, 1), np.float32))


def convert_float(function, *shape):
    """The float .tflite of a function of one tensor."""
    import tensorflow as tf

    from tinynas.model.process import captured_stderr

    traced = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    with captured_stderr():
        return tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()], tf.Module()).convert()


def test_inputs_and_outputs_of_any_type_are_bytes(tensorflow):
    import tensorflow as tf

    from tinynas.model.score import run_reference

    values = np.array([[-1.5, 2.5]], np.float32)
    outputs = run_reference(convert_float(tf.nn.relu, 1, 2), values.view(np.int8))
    assert outputs.view(np.float32).tolist() == [[0.0, 2.5]]


def test_a_float_model_has_no_accuracy(tensorflow):
    import tensorflow as tf

    from tinynas.model.score import score

    with pytest.raises(MalformedModelError, match="type 0 of the schema, int8"):
        score(convert_float(tf.nn.relu, 1, 4), np.zeros((1, 4), np.float32), np.zeros(1, np.int64))


def test_an_operator_that_tflite_micro_lacks_is_named(tensorflow):
    import tensorflow as tf

    from tinynas.model.score import run_reference

    tflite = convert_float(lambda x: tf.math.segment_sum(x, [0, 0, 1]), 3)
    with pytest.raises(MalformedModelError, match=r"tflite-micro refuses the model: .*SEGMENT_SUM"):
        run_reference(tflite, np.zeros((1, 3), np.int8))


def test_an_operator_that_networks_are_not_built_of_is_named(tensorflow):
    from tinynas.model.build import build

    first = Layer(name="input", op="input", inputs=(), shape=(8, 8, 1))
    odd = Layer(name="odd", op="softplus", inputs=(0,), shape=(8, 8, 1))
    with pytest.raises(UnsupportedError, match=r"layer 1 \(odd\) has operator 'softplus'; known are input, conv"):
        build(Architecture(layers=(first, odd), input_shape=(8, 8, 1), classes=2), 0)


def test_a_depthwise_convolution_of_unequal_strides_needs_a_series(tensorflow):
    from tinynas.model.build import build

    series = Builder((16, 4), 2)
    build(series.finish(series.global_avg_pool(series.depthwise(0, (3, 1), (2, 1)))), 0)
    image = Builder((16, 16, 4), 2)
    with pytest.raises(UnsupportedError, match="no depthwise convolution of unequal strides"):
        build(image.finish(image.global_avg_pool(image.depthwise(0, (3, 3), (2, 1)))), 0)
