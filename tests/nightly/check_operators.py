"""Compare ever new random models with TensorFlow Lite Micro: `python tests/nightly/check_operators.py [--cases N]`.

--machine host runs the code of every target with address and undefined-behaviour sanitizers; cortex-m4, cortex-m7,
cortex-m55 and cortex-m0 run the code for their target in QEMU, risc-v and avr portable code in QEMU and simavr. Models
are drawn in batches, each known by its operator and number: a run that was interrupted goes on with --start, and
`--operator CONV_2D --start N --cases 1` repeats one batch. The models whose outputs differ are kept in --keep. Exit
status 1 if there are any.
"""

import argparse
import collections
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "compiler"))
from cases import AVR, CORTEX_M0, CORTEX_M4, CORTEX_M7, CORTEX_M55, HOST, RISCV, Machine, make_cases, run_cases
from pebble import ProcessPool
from random_models import MODELS, NETWORK, TALL_NETWORK, draw_models
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tinynas.compiler import TARGETS
from tinynas.compiler.target import Target

MACHINES: dict[str, tuple[Machine, tuple[Target, ...]]] = {
    "host": (HOST, TARGETS),
    "cortex-m4": (CORTEX_M4, ("cortex-m4",)),
    "cortex-m7": (CORTEX_M7, ("cortex-m4",)),
    "cortex-m55": (CORTEX_M55, ("cortex-m55",)),
    "cortex-m0": (CORTEX_M0, ("cortex-m0",)),
    "risc-v": (RISCV, ("portable", "cortex-m4")),
    "avr": (AVR, ("portable",)),
}
# Models of one operator per call of the C compiler. The tests of every day take the batches 0 and 1.
BATCH, FIRST_BATCH = 50, 1000


def check_batch(machine: str, operator: str, number: int, keep: Path) -> tuple[int, list[str]]:
    """How many cases were run, and what is wrong with them."""
    place, targets = MACHINES[machine]
    models = draw_models(operator, BATCH, start=number)
    title, patches = f"{operator} batch {number}", "auto" if operator == TALL_NETWORK else "off"
    cases = [case for case in make_cases(models, title, targets=targets, patches=patches) if place.holds(case)]
    with tempfile.TemporaryDirectory() as folder:
        complaints = run_cases(place, cases, Path(folder))
    for index, case in enumerate(cases):
        if any(f"{case.title}, case {index}," in each for each in complaints):
            (keep / f"{operator}_{number}_{index}.tflite").write_bytes(case.model)
    return len(cases), complaints


def batches(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Enough batches of every operator for the cases that are asked for."""
    operators = options.operator or [NETWORK, TALL_NETWORK, *MODELS]
    rounds = -(-options.cases // (BATCH * len(operators)))
    for number in range(options.start, options.start + rounds):
        for operator in operators:
            yield operator, number


def check(options: argparse.Namespace) -> int:
    counts: collections.Counter[str] = collections.Counter()
    failed = 0
    work = list(batches(options))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ProcessPool(max_workers=options.jobs) as pool, Progress(*columns) as progress:
        bar = progress.add_task("checking", total=len(work))
        futures = [pool.schedule(check_batch, args=(options.machine, *each, options.keep)) for each in work]
        for (operator, number), future in zip(work, futures, strict=True):
            try:
                count, complaints = future.result()
            except Exception as error:  # One broken batch must not hide what the others find.
                count, complaints = 0, [f"{operator} batch {number}: {type(error).__name__}: {error}"]
            counts[operator] += count
            failed += len(complaints)
            for each in complaints:
                progress.console.print(each, markup=False, highlight=False)
            progress.update(bar, advance=1, description=f"{failed} failed, batch {number}")
    detail = ", ".join(f"{operator} {count:,}" for operator, count in sorted(counts.items()))
    print(f"{options.machine}: {counts.total():,} programs in {len(work):,} batches, {failed} failed ({detail})")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000, help="models, rounded up to whole batches")
    parser.add_argument("--start", type=int, default=FIRST_BATCH, help="number of the first batch")
    parser.add_argument("--machine", choices=MACHINES, default="host")
    parser.add_argument(
        "--operator", action="append", choices=[NETWORK, TALL_NETWORK, *MODELS], help="only this one; may be repeated"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "tinynas-operators")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    if MACHINES[options.machine][0].missing():
        parser.error(f"{MACHINES[options.machine][0].missing()} is not on PATH")
    return check(options)


if __name__ == "__main__":
    sys.exit(main())
