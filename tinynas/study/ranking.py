"""How well zero-cost proxies rank a study's networks: `tinynas proxies`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau, spearmanr

from tinynas.children import Children
from tinynas.config import Config
from tinynas.errors import ConfigError
from tinynas.space.genome import Genome
from tinynas.space.hardware import network_of
from tinynas.study import work
from tinynas.study.deployment import board_of, searched_space
from tinynas.study.store import Store, Trial
from tinynas.study.summary import config_of

# Below so many networks not even a perfect ranking is beyond chance.
LEAST_TRIALS = 5
BASELINES = ("parameters", "macs")


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """How one proxy ranks networks against their trained int8 accuracy.

    spearman, kendall: rank correlations in [-1, 1] (Kendall's tau-b), None where the proxy gives all the same score;
    p_value: of Spearman's, two-sided. degenerate: networks without a score, ranked last.
    """

    proxy: str
    spearman: float | None
    kendall: float | None
    p_value: float | None
    degenerate: int


def rank_proxies(path: Path, samples: int, notify: Callable[[str], None]) -> dict[str, Any]:
    """Score every trained network of a study as if it were untrained, and correlate, as plain JSON values.

    Raises:
        ConfigError: fewer than `LEAST_TRIALS` of its trials are trained, or its task or space is another now.
    """
    with Store.open_to_read(path) as store:
        config, task = config_of(store), store.fact("task")
        trials = [trial for trial in store.trials() if trial.state == "complete"]
    if len(trials) < LEAST_TRIALS:
        raise ConfigError(
            f"study {path} has {len(trials)} trained networks, a rank correlation needs at least {LEAST_TRIALS}: "
            f"continue it with tinynas resume {path} --budget N"
        )
    candidates = _candidates(path, config, task, trials)
    scores = _scores(config, task, candidates, samples, notify)
    accuracies = [float(trial.accuracy_int8_val or 0.0) for trial in trials]
    rankings = [rank(name, [each[name] for each in scores], accuracies) for name in scores[0]]
    ordered = sorted(rankings, key=lambda ranking: -math.inf if ranking.spearman is None else -ranking.spearman)
    return {
        "study": str(path),
        "task": task["name"],
        "trained": len(trials),
        "samples": samples,
        "proxies": [asdict(ranking) for ranking in ordered],
        "scores": {
            str(trial.number): {
                "accuracy_int8_val": trial.accuracy_int8_val,
                **{name: score if math.isfinite(score) else None for name, score in each.items()},
            }
            for trial, each in zip(trials, scores, strict=True)
        },
    }


def rank(name: str, scores: Sequence[float], accuracies: Sequence[float]) -> Ranking:
    """The rank correlations of scores, of which -inf are the last, with accuracies."""
    degenerate = sum(not math.isfinite(score) for score in scores)
    if len(set(scores)) < 2 or len(set(accuracies)) < 2:
        return Ranking(proxy=name, spearman=None, kendall=None, p_value=None, degenerate=degenerate)
    ranks = np.unique(scores, return_inverse=True)[1]
    found, tau = spearmanr(ranks, accuracies), kendalltau(ranks, accuracies)
    return Ranking(
        proxy=name,
        spearman=float(found.statistic),
        kendall=float(tau.statistic),
        p_value=float(found.pvalue),
        degenerate=degenerate,
    )


def _candidates(path: Path, config: Config, task: Any, trials: Sequence[Trial]) -> list[work.Candidate]:
    space = searched_space(config, board_of(config))
    candidates = []
    for trial in trials:
        genome = Genome.parse(trial.genome)
        architecture = space.decode(genome, tuple(task["input_shape"]), len(task["class_names"]))
        if [layer.op for layer in architecture.layers] != [layer["op"] for layer in trial.network]:
            raise ConfigError(
                f"study {path}: space {space.name} makes another network of {trial.genome} than it did then"
            )
        key = network_of(space, genome).key
        candidates.append(
            work.Candidate(task=config.task, study_seed=config.search.seed, architecture=architecture, key=key)
        )
    return candidates


def _scores(
    config: Config, task: Any, candidates: Sequence[work.Candidate], samples: int, notify: Callable[[str], None]
) -> list[dict[str, float]]:
    """Proxies and baselines of each candidate, in one child."""
    scores = []
    with Children(1, memory_bytes=int(config.train.memory), prepare=work.configure) as children:
        notify(f"loading task {config.task.name}")
        facts = children.call(
            "loading the task", config.train.timeout, work.describe_task, config.task, config.search.seed
        )
        if facts.digest != task["digest"]:
            raise ConfigError(f"task {facts.name} is not the one that the study was made with: its data differs")
        for number, candidate in enumerate(candidates, start=1):
            notify(f"network {number} of {len(candidates)}")
            found = children.call("scoring", config.train.timeout, work.proxy_scores, candidate, samples)
            layers = candidate.architecture.layers
            sizes = (sum(layer.weights for layer in layers), candidate.architecture.macs)
            scores.append({**found, **dict(zip(BASELINES, map(float, sizes), strict=True))})
    return scores
