"""Feed the importer mutated `.tflite` files: `python tests/nightly/fuzz_importer.py [--cases N] [--start SEED]`.

Each must end in a program or in a CandidateError, within time and memory. A case is known by its number: a run that was
interrupted goes on with --start, and `--start N --cases 1` repeats one. What fails is kept as a file in --keep.
With --run, programs of mutated models that compile are also built with sanitizers and executed: a model that passes the
checks must not make the generated C leave its memory.
"""

import argparse
import collections
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).parents[1] / "compiler"))
import numpy as np
from cases import HOST, Case, run_cases
from mutation import Anatomy, dissect, mutate
from pebble import ProcessExpired, ProcessPool
from random_models import MODELS, NETWORK, draw_models
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tinynas.compiler import DEFAULTS, TARGETS, Options, Program, compile_network
from tinynas.errors import CandidateError

REFERENCES = Path(__file__).parents[3] / "shared" / "models"
CASE_S, MEMORY_BYTES, CHUNK = 2.0, 2 << 30, 250
# One in this many cases damages a reference network: they are a hundred times larger than the others.
LARGE_EVERY = 25
# One in four is compiled with all that can be asked for.
EVERY_OPTION = Options(patches="auto", optimize="size", fast_bytes=4096)
# Of what is executed: beyond this, the sanitizers take too long.
MOST_MACS, MOST_ARENA_BYTES, MOST_SOURCE_BYTES = 1 << 22, 1 << 20, 1 << 17


class SlowError(BaseException):
    """Not an Exception: nothing in the compiler may swallow it."""


def make_corpus() -> tuple[list[Anatomy], list[Anatomy]]:
    """Small models of every operator, and the reference networks where they are at hand."""
    small = [model for name in [NETWORK, *MODELS] for model in draw_models(name, 12, start=7)]
    large = [path.read_bytes() for path in sorted(REFERENCES.glob("*.tflite"))]
    return [dissect(model) for model in small], [dissect(model) for model in large]


corpora: tuple[list[Anatomy], list[Anatomy]] = ([], [])


def start_worker() -> None:
    global corpora  # noqa: PLW0603  # One for each process, made once.
    corpora = make_corpus()
    warnings.simplefilter("error")
    limit_memory(MEMORY_BYTES)
    signal.signal(signal.SIGALRM, stop_slow_case)


def limit_memory(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def stop_slow_case(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SlowError(f"took longer than {CASE_S:g} s")


def make_case(number: int) -> bytes:
    small, large = corpora
    return mutate(large if large and number % LARGE_EVERY == 0 else small, number)


def compile_case(number: int) -> Program | CandidateError:
    model, target = make_case(number), TARGETS[number % len(TARGETS)]
    options = EVERY_OPTION if number % 4 == 0 else DEFAULTS
    try:
        return compile_network(model, name=f"n{number}", constants="arrays", target=target, **options.arguments)
    except CandidateError as error:
        assert str(error)
        return error


@dataclass
class Tally:
    """What became of cases: how many of each kind, the slowest [s], the largest process [B], and what failed."""

    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    slowest_s: float = 0.0
    peak_bytes: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.outcomes += other.outcomes
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)
        self.failures += other.failures


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def check_chunk(numbers: range, keep: Path) -> Tally:
    """Compiles every case."""
    tally = Tally()
    for number in numbers:
        begin = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, CASE_S)
        try:
            tally.outcomes[type(compile_case(number)).__name__] += 1
        except (Exception, SlowError) as error:
            tally.failures.append(f"case {number}: {type(error).__name__}: {error}")
            (keep / f"{number}.tflite").write_bytes(make_case(number))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        tally.slowest_s = max(tally.slowest_s, time.perf_counter() - begin)
    tally.peak_bytes = peak_bytes()
    return tally


def execute_chunk(numbers: range, keep: Path) -> Tally:
    """Builds what compiles with sanitizers and runs it on random inputs; there are no outputs to compare with."""
    begin, cases = time.perf_counter(), []
    for number in numbers:
        program = compile_case(number)
        if isinstance(program, Program) and is_small(program):
            shape = (2, sum(tensor.bytes for tensor in program.inputs))
            inputs = np.random.default_rng(number).integers(-128, 128, shape).astype(np.int8)
            expected = np.zeros((2, sum(tensor.bytes for tensor in program.outputs)), np.int8)
            title = f"case {number}"
            cases.append(Case(title=title, model=b"", program=program, inputs=inputs, expected=expected))
    # The address sanitizer maps terabytes that it never uses.
    limit_memory(resource.RLIM_INFINITY)
    failures = [f"one of cases {numbers.start} to {numbers.stop - 1}: {each}" for each in run_in_folder(cases)]
    limit_memory(MEMORY_BYTES)
    if failures:
        (keep / f"run_{numbers.start}.txt").write_text("\n".join(failures))
    executed = collections.Counter({"executed": len(cases)})
    return Tally(outcomes=executed, slowest_s=time.perf_counter() - begin, peak_bytes=peak_bytes(), failures=failures)


def run_in_folder(cases: list[Case]) -> list[str]:
    """What the compiler and the sanitizers say; that outputs differ from nothing at all is no news."""
    if not cases:
        return []
    try:
        with tempfile.TemporaryDirectory() as folder:
            return [each for each in run_cases(HOST, cases, Path(folder)) if not each.startswith("case ")]
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return [str(error)]


def is_small(program: Program) -> bool:
    macs = sum(layer.macs for layer in program.layers)
    text = sum(len(content) for content in program.files.values())
    return macs <= MOST_MACS and program.arena_bytes <= MOST_ARENA_BYTES and text <= MOST_SOURCE_BYTES


def fuzz(options: argparse.Namespace) -> Tally:
    end, total = options.start + options.cases, Tally()
    chunks = [range(first, min(first + CHUNK, end)) for first in range(options.start, end, CHUNK)]
    work: Any = execute_chunk if options.run else check_chunk
    limit_s = 600.0 if options.run else CHUNK * CASE_S + 60
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        ProcessPool(max_workers=options.jobs, initializer=start_worker) as pool,
        Progress(*columns) as progress,
    ):
        bar = progress.add_task("fuzzing", total=options.cases)
        futures = [pool.schedule(work, args=(chunk, options.keep), timeout=limit_s) for chunk in chunks]
        for chunk, future in zip(chunks, futures, strict=True):
            try:
                tally = future.result()
            except (ProcessExpired, FutureTimeoutError) as error:
                tally = Tally(failures=[f"a process died in cases {chunk.start} to {chunk.stop - 1}: {error!r}"])
            for each in tally.failures:
                progress.console.print(each, markup=False, highlight=False)
            total.add(tally)
            status = f"{len(total.failures)} failed, next --start {chunk.stop}"
            progress.update(bar, advance=len(chunk), description=status)
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--run", action="store_true", help="execute the programs under sanitizers")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "tinynas-fuzz")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    total = fuzz(options)
    outcomes = ", ".join(f"{count:,} {kind}" for kind, count in total.outcomes.most_common())
    slowest = f"slowest {'chunk' if options.run else 'case'} {total.slowest_s:.2f} s"
    print(
        f"{options.cases:,} cases from {options.start:,} on: {outcomes}; {len(total.failures)} failed; {slowest}, ",
        end="",
    )
    print(f"largest process {total.peak_bytes / 1e6:,.0f} MB")
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
