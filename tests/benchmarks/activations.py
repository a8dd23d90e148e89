"""What int16 activations buy and cost: `python tests/benchmarks/activations.py [NETWORKS]`.

Random networks of space `image` for Fashion-MNIST are trained as a search would, and each is quantized twice: with int8
and with int16 activations. Printed are accuracies on validation, the float network's beside them, what each costs on
the emulated default board, and the mean change with its standard error, costs in per cent.
"""

import statistics
import sys

from fidelity import EPOCHS, VAL_SAMPLES, networks
from hardware_genes import measured
from inheritance import fit

from tinynas import paths
from tinynas.boards import load_board
from tinynas.config import TaskSection
from tinynas.device.bench import open_bench
from tinynas.model.data import load_task
from tinynas.space.hardware import Deployment

NETWORKS = 6
FIGURES = ("latency_us", "sram_bytes", "flash_bytes")


def changed(before: list[float], after: list[float]) -> str:
    """Mean and standard error of the change [%]."""
    changes = [100 * (new / old - 1) for old, new in zip(before, after, strict=True)]
    return f"{statistics.mean(changes):+.1f} ± {statistics.stdev(changes) / len(changes) ** 0.5:.1f} %"


def main(count: int) -> None:
    from tinynas.model.process import configure_process
    from tinynas.model.quantize import quantize
    from tinynas.model.score import score
    from tinynas.model.train import predictor

    configure_process()
    task, board = load_task(TaskSection(name="fashion_mnist"), 0), load_board("netduinoplus2")
    x, y = task.val.x[:VAL_SAMPLES], task.val.y[:VAL_SAMPLES]
    rows: dict[int, list[list[float]]] = {8: [], 16: []}
    print("| network | activations | accuracy | float | latency | SRAM | flash |\n|---|---|---|---|---|---|---|")
    with open_bench(board, directory=paths.home() / "bench") as bench:
        for number, (architecture, _) in enumerate(networks(task, count)):
            model = fit(architecture, task, seed=number, epochs=EPOCHS, begin=lambda model: None)
            exact = float((predictor(model)(x).argmax(axis=1) == y).mean())
            for bits, row in rows.items():
                tflite = quantize(model, task.train.x[:256], bits)
                cost = measured(board, bench, tflite, Deployment())
                latency_us, sram_bytes, flash_bytes = (float(cost.figure(name) or 0) for name in FIGURES)
                row.append([score(tflite, x, y), latency_us, sram_bytes, flash_bytes])
                print(
                    f"| {number + 1} | int{bits} | {row[-1][0]:.2%} | {exact:.2%} | {latency_us / 1000:.2f} ms "
                    f"| {sram_bytes:,.0f} B | {flash_bytes:,.0f} B |",
                    flush=True,
                )
    before, after = (list(zip(*row, strict=True)) for row in rows.values())
    gains = [100 * (new - old) for old, new in zip(before[0], after[0], strict=True)]
    error = statistics.stdev(gains) / len(gains) ** 0.5
    costs = " | ".join(changed(list(old), list(new)) for old, new in zip(before[1:], after[1:], strict=True))
    print(f"| mean change | | {statistics.mean(gains):+.2f} ± {error:.2f} points | | {costs} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS)
