"""Estimates beside what a board says: `python tests/benchmarks/estimate.py [--board B] [--networks N] [--json]`.

Random networks of the spaces `image`, `series` and `mlp`, of which the calibration holds none, are built and measured
as a whole. Beside each method's latencies stand those of gradient-boosted trees on the same turns, and the one figure
that most searches go by, multiply-accumulates. The board's calibration is made first where there is none, and goes on
where it was interrupted: some ten minutes; the networks here take as long again.
"""

import argparse
import json
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.ensemble import HistGradientBoostingRegressor

from tinynas.boards import Board, load_board
from tinynas.cost import Cost
from tinynas.deploy.desks import Desks
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import to_cost
from tinynas.errors import CandidateError
from tinynas.estimate.calibration import Calibration, calibration_path, read_calibration
from tinynas.estimate.instructions import PATH, fit_instructions
from tinynas.estimate.latency import METHODS, analytic_estimator, make_estimator
from tinynas.estimate.learned import Observation, observations
from tinynas.estimate.loops import Work, work_of
from tinynas.space.registry import load_space
from tinynas.study.calibrate import SPACES, Ground, Settings, calibrate, compile_drawn, draw, errors_of, opened_ground

Predict = Callable[[Sequence[Work]], float | None]
_FITTED = (25, 50, 100)


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network that took no part. planned: arena and constants of the compiler's plan [B]; cost: of the board."""

    space: str
    works: tuple[Work, ...]
    macs: int
    planned: tuple[int, int]
    cost: Cost
    clock_hz: int

    @property
    def cycles(self) -> float:
        return (self.cost.latency_us or 0) * self.clock_hz / 1e6


def measured(ground: Ground, seed: int, number: int) -> Network:
    """Network `number`, on the board."""
    spaces = [load_space(name) for name in SPACES]
    for drawn in draw(ground.board, spaces, random.Random(f"benchmark {seed}/{number}")):
        try:
            program = compile_drawn(ground, drawn, number)
            image = Desks().build(ground.board, program)
            inputs = np.random.default_rng(number).integers(-128, 128, (2, program.inputs_bytes)).astype(np.int8)
            measurement = flash_and_measure(ground.bench, image, inputs, repeats=1)
        except CandidateError:
            continue
        return Network(
            space=drawn.genome.space,
            works=work_of(program),
            macs=sum(layer.macs for layer in program.layers),
            planned=(program.arena_bytes, program.constants_bytes),
            cost=to_cost(measurement, image, ground.board),
            clock_hz=ground.board.clock_hz,
        )
    raise SystemExit(f"no network fits {ground.board.name}")


def boosted(layers: Sequence[Observation], outside: float) -> Predict:
    """Gradient-boosted trees for each family of kernels, on the logarithms of turns and of cycles."""
    families: dict[str, list[Observation]] = {}
    for layer in layers:
        families.setdefault(layer.works[0].family, []).append(layer)
    kinds = {kind: number for number, kind in enumerate(sorted({layer.works[0].kind for layer in layers}))}

    def row(work: Work) -> list[float]:
        return [*np.log1p(list(work.counts.values())), kinds.get(work.kind, -1)]

    models = {}
    for family, observed in families.items():
        model = HistGradientBoostingRegressor(min_samples_leaf=3, max_iter=300, random_state=0)
        cycles = np.log([max(each.cycles, 1) for each in observed])
        models[family] = model.fit([row(each.works[0]) for each in observed], cycles)

    def predict(works: Sequence[Work]) -> float | None:
        timed = [work for work in works if work.counts]
        if any(work.family not in models for work in timed):
            return None
        return outside + sum(float(np.exp(models[work.family].predict([row(work)])[0])) for work in timed)

    return predict


def described(predict: Predict, networks: Sequence[Network]) -> dict[str, Any]:
    """Errors of the networks that can be predicted, and how well they are ranked."""
    pairs = [(predict(network.works), network.cycles) for network in networks]
    known = [(cycles, taken) for cycles, taken in pairs if cycles is not None]
    errors = [cycles / taken - 1 for cycles, taken in known]
    ranks = float(spearmanr(*zip(*known, strict=True)).statistic) if len(known) > 1 else None
    return {**errors_of(errors), "rank_correlation": ranks}


def found(calibration: Calibration, path: Path, networks: Sequence[Network]) -> dict[str, Any]:
    """All that is printed, as JSON values."""
    estimators = {method: make_estimator(method, calibration, path) for method in METHODS}
    layers = observations(calibration.fitted)
    board = load_board(calibration.validity.board)
    methods: dict[str, Predict] = {"analytic": analytic_estimator(board).cycles} if PATH.exists() else {}
    methods |= {method: estimator.cycles for method, estimator in estimators.items()}
    if calibration.source == "emulated":
        methods["boosted trees"] = boosted(layers, estimators["learned"].outside_cycles)
    for count in _FITTED:
        some = calibration.model_copy(update={"networks": calibration.fitted[:count]})
        if count < len(calibration.fitted):
            for method in METHODS:
                methods[f"{method}, {count} networks"] = make_estimator(method, some, path).cycles
    spread = {method: estimator.spread for method, estimator in estimators.items()}
    inside = {
        method: np.mean([abs(np.log(cycles / network.cycles)) <= (spread[method] or 0) for network, cycles in known])
        for method, estimator in estimators.items()
        if (known := [(each, cycles) for each in networks if (cycles := estimator.cycles(each.works)) is not None])
    }
    return {
        "board": calibration.validity.board,
        "networks": len(networks),
        "fitted": len(calibration.fitted),
        "layers": len(layers),
        "methods": {name: described(predict, networks) for name, predict in methods.items()},
        "spaces": {
            space: described(estimators["learned"].cycles, [each for each in networks if each.space == space])
            for space in SPACES
        },
        "inside_interval": {method: float(share) for method, share in inside.items()},
        "macs_rank_correlation": float(
            spearmanr([each.macs for each in networks], [each.cycles for each in networks]).statistic
        ),
        "memories": _memories(networks),
    }


def _memories(networks: Sequence[Network]) -> dict[str, Any]:
    """The largest differences between the compiler's plan and the image [B], and the stacks that only running shows."""
    costs = [each.cost for each in networks]
    plans = [each.planned for each in networks]
    arena = [cost.sram.arena - plan[0] for cost, plan in zip(costs, plans, strict=True) if cost.sram]
    constants = [cost.flash.constants - plan[1] for cost, plan in zip(costs, plans, strict=True) if cost.flash]
    stacks = [cost.sram.stack for cost in costs if cost.sram and cost.sram.stack is not None]
    return {
        "arena_error": max(map(abs, arena)),
        "constants_error": max(map(abs, constants)),
        "static": max(abs(cost.sram.static) for cost in costs if cost.sram),
        "stack": [min(stacks), max(stacks)],
    }


def _print(result: Mapping[str, Any]) -> None:
    print(f"{result['networks']} networks on {result['board']}, {result['fitted']} others fitted to")
    print(f"{'':24} estimated  mean error  within 5 %  largest error  rank correlation")
    for name, errors in {**result["methods"], **{f"learned, {k}": v for k, v in result["spaces"].items()}}.items():
        figures = [("mean_error", "11.2%"), ("within_5_percent", "11.1%"), ("largest_error", "14.2%")]
        figures.append(("rank_correlation", "17.5f"))
        shown = (f"{errors[figure]:{form}}" for figure, form in figures if errors[figure] is not None)
        print(f"{name:24} {errors['estimated']:9} {' '.join(shown)}")
    print(f"{'multiply-accumulates':24} {'':49} {result['macs_rank_correlation']:17.5f}")
    for method, share in result["inside_interval"].items():
        print(f"{method}: {share:.1%} inside the interval of 95 %")
    memories = result["memories"]
    print(
        f"arena and constants: {memories['arena_error']} and {memories['constants_error']} B at most beside the plan; "
        f"variables: {memories['static']} B; stack, known from running alone: {memories['stack'][0]} to "
        f"{memories['stack'][1]} B"
    )


def _write_instructions(calibration: Calibration, board: Board, path: Path) -> None:
    """Replace the model of the board's target, leaving those of others."""
    outside = make_estimator("learned", calibration, path).outside_cycles
    models = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    models[board.target] = fit_instructions(calibration, board, outside)
    PATH.write_text(json.dumps(models, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{PATH}: {board.target}, from {len(calibration.fitted)} networks on {board.name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--board", default="netduinoplus2")
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--calibration", type=int, default=200, help="networks of the calibration")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--write-instructions", action="store_true", help="fit the instruction model of the board's target, and end"
    )
    arguments = parser.parse_args()
    board = load_board(arguments.board)
    settings = Settings(board=arguments.board, networks=arguments.calibration, workers=arguments.workers)
    calibrate(settings, lambda done, total, network: None)
    path = calibration_path(board.name, "speed")
    if arguments.write_instructions:
        _write_instructions(read_calibration(path), board, path)
        return
    with opened_ground(settings, board) as ground, ThreadPoolExecutor(arguments.workers) as threads:
        numbers = range(arguments.networks)
        networks = list(threads.map(lambda number: measured(ground, arguments.seed, number), numbers))
    result = found(read_calibration(path), path, networks)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        _print(result)


if __name__ == "__main__":
    main()
