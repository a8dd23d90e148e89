"""A search from ask to front: ask -> evaluate -> store -> tell, then the finalists. Killed at any moment, it resumes.

Nothing of a strategy is saved. It is deterministic, so a resumed run asks it the same questions again, answers from
the store what was judged before, and goes on where the store ends.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tinynas.cluster.place import Place
from tinynas.config import Config, with_search
from tinynas.errors import CandidateError, ConfigError, NothingFeasibleError
from tinynas.estimate.analytic import features_of, infeasible_reason
from tinynas.search.registry import make_strategy
from tinynas.search.strategy import Strategy
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome
from tinynas.space.hardware import hardware_values
from tinynas.study import work
from tinynas.study.announce import announced
from tinynas.study.deployment import deployed, least_of_space, lower_bound
from tinynas.study.finalists import finish_front
from tinynas.study.gradient import DISTRIBUTIONS, learned_distributions
from tinynas.study.interruption import Interruption
from tinynas.study.lab import facts_of, open_lab
from tinynas.study.session import Clock, Event, Notify, Session, threads
from tinynas.study.start import starting_genomes
from tinynas.study.steady import UNCHECKED, Steady
from tinynas.study.store import Store
from tinynas.study.summary import config_of
from tinynas.study.supernet import trained_supernet
from tinynas.study.survivors import measure_front
from tinynas.study.testbed import Lab, Places

_AHEAD = "ahead"
# The same for a few workers, so that they find the same.
_LEAST_AHEAD = 6


def search(
    config: Config,
    path: Path,
    notify: Notify,
    place: Place | None = None,
    *,
    interruption: Interruption | None = None,
) -> None:
    """Start a new study at `path` and run it to its end, or until its `interruption`, on this machine or on the cluster
    at `place`.

    Raises:
        ConfigError: settings or data are wrong, or the study exists.
        NothingFeasibleError: no candidate can meet the limits, or none of those evaluated did.
        BenchError, InfrastructureError: the run cannot go on; `resume` continues it.
        StoppedError: it was interrupted, and all that was under way is recorded.
    """
    if path.exists():
        _refuse_existing(path, config)
    with open_lab(config, place) as lab:
        refuse_hopeless(lab)
        with Store.create(path, _facts(lab)) as store:
            _run(store, lab, notify, interruption or Interruption())


def check(config: Config, place: Place | None = None) -> dict[str, Any]:
    """What a search would work with, all parts opened and checked, nothing searched. Raises as `search`."""
    with open_lab(config, place) as lab:
        refuse_hopeless(lab)
        return {name: fact for name, fact in _facts(lab).items() if name != "elapsed_s"}


def _facts(lab: Lab) -> dict[str, Any]:
    """Those of a new study, with what it begins with: the files that say so may be gone when it is resumed."""
    start = starting_genomes(lab.config.search.start, lab.space)
    return {**facts_of(lab), "start": [genome.key for genome in start]}


def resume(
    path: Path,
    notify: Notify,
    budget: int | None = None,
    time_limit: float | str | None = None,
    place: Place | None = None,
    *,
    interruption: Interruption | None = None,
) -> None:
    """Continue a study, with a larger `budget` or `time_limit` (seconds, or text as "30m"). Raises as `search`, and

    Raises:
        ConfigError: the data, the space, the toolchain or the firmware differ from those the study was made with.
    """
    with Store.open_to_write(path) as store:
        changes = {name: value for name, value in (("budget", budget), ("time", time_limit)) if value is not None}
        config = with_search(config_of(store), changes)
        with open_lab(config, place) as lab:
            _require_same(store, facts_of(lab))
            store.set_fact("config", config.model_dump(mode="json"))
            _run(store, lab, notify, interruption or Interruption())


def _refuse_existing(path: Path, config: Config) -> None:
    with Store.open_to_read(path) as store:
        old, new = store.fact("config"), config.model_dump(mode="json")
    differing = [
        f"{section}.{key} is {old[section].get(key)!r} there, {value!r} here"
        for section, values in new.items()
        for key, value in values.items()
        if old.get(section, {}).get(key) != value
    ]
    if differing:
        raise ConfigError(
            f"study {path} was made with other settings ({'; '.join(differing[:3])}): name another --study, "
            f"or continue that one with tinynas resume {path}"
        )
    raise ConfigError(f"study {path} exists: continue it with tinynas resume {path}, or name another --study")


def _require_same(store: Store, now: dict[str, Any]) -> None:
    """Costs are compared only when board, clock, toolchain, flags and firmware are the same."""
    for name in ("board", "task", "space", "validity", "bounds", "estimate", "also"):
        then = store.fact(name)
        if name == "task":
            # The folder may have moved; the digest says whether the data is the same.
            then, now = ({**then, "source": ""}, {**now, "task": {**now["task"], "source": ""}})
        if then == now[name]:
            continue
        old, new = _difference(then, now[name])
        raise ConfigError(
            f"study {store.path} cannot go on: its {name} is {old} and is now {new}; "
            "restore what it was made with, or start another --study"
        )


def _difference(old: Any, new: Any) -> tuple[str, str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                first, second = _difference(old.get(key), new.get(key))
                return f"{key} {first}", f"{key} {second}"
    return str(old)[:120], str(new)[:120]


def refuse_hopeless(lab: Lab) -> None:
    """Say so before hours pass when even the least that the space can need breaks a limit.

    Raises:
        NothingFeasibleError: no candidate can meet the limits.
    """
    shape, classes = lab.task.input_shape, len(lab.task.class_names)
    least = lab.costs(lambda board: least_of_space(lab.space, shape, classes, board))
    reason = infeasible_reason(least, lab.bounds)
    if reason is not None:
        raise NothingFeasibleError(
            f"no candidate of space {lab.space.name} can meet the limits: the smallest {reason}; "
            "raise the limit, or choose another space or board"
        )


def _run(store: Store, lab: Lab, notify: Notify, interruption: Interruption) -> None:
    with announced(store.path, lab, notify) as told:
        _run_told(store, lab, told, interruption)


def _run_told(store: Store, lab: Lab, notify: Notify, interruption: Interruption) -> None:
    settings = lab.config.search
    clock = Clock(store, settings.time)
    store.set_fact("finished", False)
    for number in store.fact(UNCHECKED) or []:
        # The run ended before their boards had shown that they measured rightly.
        store.forget(number)
    store.set_fact(UNCHECKED, [])
    known = {trial.genome: trial for trial in store.trials()}
    notify(
        Event(
            kind="opened",
            judged=len(known),
            budget=settings.budget,
            deadline_s=clock.left(),
            known=tuple(known.values()),
            lab=lab,
        )
    )
    learns = settings.strategy == "gradient" and store.fact(DISTRIBUTIONS) is None
    supernet = _supernet(lab, notify) if lab.config.supernet.enabled or learns else None
    lab = replace(lab, supernet=supernet if lab.config.supernet.enabled else None)
    clock.save()
    ahead = _ahead(store, lab)
    with threads(lab, ahead) as pool:
        session = Session(
            store=store, lab=lab, clock=clock, threads=pool, notify=notify, ahead=ahead, interruption=interruption
        )
        if learns and supernet is not None:
            store.set_fact(DISTRIBUTIONS, learned_distributions(session, supernet))
        interruption.wait_for_candidates()
        Steady(session, _strategy(session), known).run()
        session.go_on()
        measure_front(session)
        finish_front(session)


def _supernet(lab: Lab, notify: Notify) -> work.Supernet:
    notify(Event(kind="sharing", budget=lab.config.supernet.epochs))
    return trained_supernet(lab, lambda genome: _decode(lab, genome), lambda genome: _admissible(lab, genome))


def _strategy(session: Session) -> Strategy:
    lab, store = session.lab, session.store
    settings = lab.config.search
    return make_strategy(
        settings.strategy,
        lab.space,
        seed=settings.seed,
        population=settings.population,
        objectives=settings.objectives,
        formulation=settings.formulation,
        exponents=settings.exponents,
        predictor=settings.predictor,
        admissible=lambda genome: _admissible(lab, genome),
        features=lambda genome: _features(lab, genome),
        start=[Genome.parse(key) for key in store.fact("start") or []],
        distributions=store.fact(DISTRIBUTIONS) or (),
    )


def default_ahead(places: Places) -> int:
    """How many candidates are under way at once where [search] does not say: for each training slot and each board one
    at work and one that waits. Fewer leave places idle while the oldest candidate is slow: docs/scaling.md.
    """
    return max(_LEAST_AHEAD, 2 * (places.training + places.boards))


def _ahead(store: Store, lab: Lab) -> int:
    """How many candidates are under way at once. Questions depend on it, so that a study keeps what it began with."""
    ahead = store.fact(_AHEAD) or lab.config.search.ahead or default_ahead(lab.places)
    store.set_fact(_AHEAD, ahead)
    return int(ahead)


def _decode(lab: Lab, genome: Genome) -> Architecture:
    return lab.space.decode(genome, lab.task.input_shape, len(lab.task.class_names))


def _features(lab: Lab, genome: Genome) -> tuple[float, ...]:
    return (*features_of(_decode(lab, genome)), *hardware_values(lab.space, genome))


def _admissible(lab: Lab, genome: Genome) -> bool:
    """Whether the estimate, a lower bound, leaves the genome a chance: sampling need not waste budget on the rest."""
    try:
        architecture = _decode(lab, genome)
    except CandidateError:
        return False
    deployment = deployed(lab.space, genome, lab.config)
    estimates = lab.costs(lambda board: lower_bound(architecture, deployment, board))
    return infeasible_reason(estimates, lab.bounds) is None
