"""What a candidate gains from its parent's weights, and from quantization-aware training: `python
tests/benchmarks/inheritance.py [PAIRS]`.

Random networks of space `image` for Fashion-MNIST are trained, mutated once, and the mutants trained anew and from the
parent's weights, for fewer epochs and for as many. Printed are the mutants' int8 accuracies with the standard error of
the paired difference to the whole training anew, on how many it was better and worse, and the user CPU time. The last
rows train the mutant on for an epoch with quantization simulated, and say for how many networks the converted graph
stays as it was measured.
"""

import random
import statistics
import sys
from collections.abc import Callable
from typing import Any

from fidelity import CONSTANTS_BYTES, EPOCHS, MACS, VAL_SAMPLES, timed

from tinynas.config import TaskSection
from tinynas.model.data import Task, load_task
from tinynas.space.architecture import Architecture
from tinynas.space.genome import mutate, random_genome
from tinynas.space.registry import load_space

PAIRS = 8
SAMPLES = 3000
Row = dict[str, tuple[float, float]]


def pairs(task: Task, count: int) -> list[tuple[Architecture, Architecture]]:
    """Parents and mutants that a small microcontroller can run and that differ."""
    space, rng = load_space("image", None), random.Random(1)
    found = []
    while len(found) < count:
        genome = random_genome(space, rng)
        both = [space.decode(each, task.input_shape, 10) for each in (genome, mutate(space, genome, rng))]
        if both[0] != both[1] and all(
            each.macs <= MACS and each.constants_bytes <= CONSTANTS_BYTES and each.macs >= MACS / 20 for each in both
        ):
            found.append((both[0], both[1]))
    return found


def fit(architecture: Architecture, task: Task, *, seed: int, epochs: int, begin: Callable[[Any], None]) -> Any:
    from tinynas.model.build import build
    from tinynas.model.train import train

    model = build(architecture, seed)
    begin(model)
    settings = {"epochs": epochs, "samples": SAMPLES, "patience": epochs, "learning_rate": 1e-2}
    train(model, task, seed=seed, val_samples=VAL_SAMPLES, **settings)
    return model


def operators(tflite: bytes) -> list[tuple[Any, ...]]:
    """Kinds and shapes of the converted graph."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite, 0))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    graph = model.subgraphs[0]
    return [
        (codes[each.opcodeIndex], *(tuple(graph.tensors[index].shape) for index in each.inputs if index >= 0))
        for each in graph.operators
    ]


def compare(parent: Architecture, child: Architecture, task: Task, seed: int) -> tuple[Row, bool]:
    """What -> (int8 accuracy, user CPU time [s]), and whether QAT leaves the converted graph as it was."""
    from tinynas.model.inherit import inherit, pack_weights, unpack_weights
    from tinynas.model.quantize import qat, quantize
    from tinynas.model.score import score

    known, x, y = task.train.x[:256], task.val.x[:VAL_SAMPLES], task.val.y[:VAL_SAMPLES]
    weights = unpack_weights(pack_weights(fit(parent, task, seed=seed, epochs=EPOCHS, begin=lambda model: None)))

    def heir(model: Any) -> None:
        inherit(model, child, weights=weights, origin=parent, x=known, seed=seed)

    row: Row = {}
    for epochs in (EPOCHS, EPOCHS // 4):
        for name, begin in (("anew", lambda model: None), ("inherited", heir)):
            model, spent = timed(lambda e=epochs, b=begin: fit(child, task, seed=seed + 1, epochs=e, begin=b))
            tflite = quantize(model, known)
            row[f"{name}, {epochs} epochs"] = score(tflite, x, y), spent
            if (name, epochs) == ("anew", EPOCHS):
                whole, plain = model, tflite
    aware, spent = timed(lambda: qat(whole, task, epochs=1, samples=SAMPLES, seed=seed))
    row[f"anew, {EPOCHS} epochs and 1 of QAT"] = score(aware, x, y), row[f"anew, {EPOCHS} epochs"][1] + spent
    return row, operators(aware) == operators(plain)


def main(count: int) -> None:
    from tinynas.model.process import configure_process

    configure_process()
    task, rows, same = load_task(TaskSection(name="fashion_mnist"), 0), [], 0
    for number, (parent, child) in enumerate(pairs(task, count)):
        row, unchanged = compare(parent, child, task, 2 * number)
        rows.append(row)
        same += unchanged
        print(f"pair {number + 1} of {count}: {row}", file=sys.stderr, flush=True)
    whole = [row[f"anew, {EPOCHS} epochs"] for row in rows]
    print("| mutant trained | int8 accuracy | difference | better : worse | CPU time [s] |\n|---|---|---|---|---|")
    for name in rows[0]:
        gains = [row[name][0] - reference for row, (reference, _) in zip(rows, whole, strict=True)]
        error = statistics.stdev(gains) / len(gains) ** 0.5
        won, lost = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
        accuracy, spent = (statistics.mean(row[name][place] for row in rows) for place in (0, 1))
        print(
            f"| {name} | {accuracy:.4f} | {statistics.mean(gains):+.4f} ± {error:.4f} | {won} : {lost} | {spent:.1f} |"
        )
    print(f"QAT leaves the converted graph of {same} of {count} networks as it was measured.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS)
