"""A study as one table: a row for each trial, a column for each gene and figure, the same whatever file it goes to.

Names are those of `tinynas show --json`, with what belongs together behind one prefix: `gene_`, `deployment_`,
`estimate_` (a lower bound, or what the search was told), `final_` (of a finalist). What is not known is None.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from tinynas.cost import Cost, Costs
from tinynas.errors import ConfigError, StoreError
from tinynas.space.genome import Genome
from tinynas.space.hardware import Deployment
from tinynas.study.quantities import QUANTITIES, source_of
from tinynas.study.reading import Study, read_study
from tinynas.study.store import Finalist, Store, Trial
from tinynas.study.summary import config_of, front

Cell = str | int | float | bool | None
Row = dict[str, Cell]

GENE = "gene_"
_NUMBERS = {
    **dict.fromkeys(("number", "epochs", "instructions", "cycles", "bytes", "hz", "bits"), int),
    **dict.fromkeys(("violation", "val", "test", "us", "uj", "s", "at"), float),
    "front": bool,
}


@dataclass(frozen=True, kw_only=True)
class TrialTable:
    """`rows` are the study's trials by number, all with the same columns. `genes` are their values on each axis, and
    `objectives` what the study minimises.
    """

    study: Study
    objectives: Sequence[str]
    genes: Sequence[tuple[int, ...]]
    rows: Sequence[Row]
    columns: Sequence[str]


def kind_of(column: str) -> type:
    """The type of a column's cells that are not None, which its unit says, the last word of its name."""
    name = column.partition("@")[0]
    return int if name.startswith(GENE) else _NUMBERS.get(name.rpartition("_")[2], str)


def read_trial_table(store: Store) -> TrialTable:
    """The table of a study, also of one that is being searched.

    Raises:
        ConfigError: the study's settings are of another version of tinynas.
        StoreError: the study is damaged.
    """
    study = read_study(store)
    try:
        chosen = {point.trial.number for point in front(store)}
        genes = [_genes(study, trial) for trial in study.trials]
        stages = sorted({stage for record in study.records for stage in record.seconds})
        columns = [name for name, _ in _cells(study, stages, None, None)]
        if len(set(columns)) < len(columns):
            raise ValueError("two of its axes or stages have one name")
    except ValueError as error:
        raise StoreError(f"study {store.path} is damaged: {error}") from error
    rows = [
        {**dict(_cells(study, stages, trial, values)), "on_front": trial.number in chosen}
        for trial, values in zip(study.trials, genes, strict=True)
    ]
    return TrialTable(
        study=study, objectives=config_of(store).search.objectives, genes=genes, rows=rows, columns=columns
    )


def _genes(study: Study, trial: Trial) -> tuple[int, ...]:
    axes = study.facts.space.axes
    try:
        values = Genome.parse(trial.genome).values
    except ConfigError as error:
        raise ValueError(f"trial {trial.number}: {error}") from error
    if len(values) != len(axes) or any(value not in axis.choices for axis, value in zip(axes, values, strict=True)):
        raise ValueError(f"trial {trial.number}: genome {trial.genome} is not of its space's {len(axes)} axes")
    return values


def _cells(
    study: Study, stages: Sequence[str], trial: Trial | None, genes: Sequence[int] | None
) -> Iterator[tuple[str, Cell]]:
    """A row; without a trial one that knows nothing, and has the same columns."""
    finalist = None if trial is None else study.finalists.get(trial.number)
    known = Costs(main=trial.cost, also=trial.also_cost) if trial and trial.cost else None
    bound = Costs(main=trial.estimate, also=trial.also_estimate) if trial and trial.estimate else None
    yield from _named(trial, ("number", "genome"))
    for index, axis in enumerate(study.facts.space.axes):
        yield f"{GENE}{axis.name}", None if genes is None else genes[index]
    yield from _named(trial, ("state", "stage", "reason"))
    yield "on_front", None
    yield from _named(trial, ("violation", "accuracy_int8_val", "accuracy_float_val", "epochs"))
    yield from _cost_cells(study, known)
    for name, cell in _cost_cells(study, bound, parts=False):
        yield f"estimate_{name}", cell
    for each in fields(Deployment):
        yield f"deployment_{each.name}", None if trial is None else trial.deployment.get(each.name)
    yield from _second_cells(stages, trial)
    yield from _named(trial, ("finished_at",))
    for name, cell in _final_cells(study, stages, finalist):
        yield f"final_{name}", cell


def _named(record: Trial | Finalist | None, names: Sequence[str]) -> Iterator[tuple[str, Cell]]:
    return ((name, getattr(record, name, None)) for name in names)


def _final_cells(study: Study, stages: Sequence[str], finalist: Finalist | None) -> Iterator[tuple[str, Cell]]:
    accuracies = ("accuracy_float_val", "accuracy_ptq_val", "accuracy_int8_val", "accuracy_int8_test")
    yield from _named(finalist, ("method", *accuracies, "epochs"))
    yield from _cost_cells(study, None if finalist is None else finalist.costs)
    yield from _second_cells(stages, finalist)


def _cost_cells(study: Study, costs: Costs | None, *, parts: bool = True) -> Iterator[tuple[str, Cell]]:
    """Figures with their sources and parts. On several boards the worst, then those of each board behind @BOARD."""
    facts = study.facts
    for figure in QUANTITIES:
        yield from _figure_cells(figure, costs)
        if parts and not facts.also:
            yield from _part_cells(figure, None if costs is None else costs.main)
    for board in facts.boards if facts.also else ():
        of_board = None if costs is None else costs.main if board == facts.board else costs.also.get(board)
        for figure in QUANTITIES:
            cells = [*_figure_cells(figure, of_board), *(_part_cells(figure, of_board) if parts else ())]
            yield from ((f"{name}@{board}", cell) for name, cell in cells)


def _figure_cells(figure: str, cost: Cost | Costs | None) -> Iterator[tuple[str, Cell]]:
    value = None if cost is None else cost.figure(figure)
    yield figure, value
    yield f"{figure.partition('_')[0]}_source", None if cost is None or value is None else source_of(cost, figure)


def _part_cells(figure: str, cost: Cost | None) -> Iterator[tuple[str, Cell]]:
    cost = cost or Cost()
    match figure:
        case "latency_us":
            for name in ("latency_iqr_us", "instructions", "cycles", "wait_cycles"):
                yield name, getattr(cost, name)
            yield "clock_hz", None if cost.validity is None else cost.validity.clock_hz
        case "sram_bytes":
            for name in ("static", "arena", "stack"):
                yield f"sram_{name}_bytes", getattr(cost.sram, name, None)
        case "flash_bytes":
            for name in ("code", "constants"):
                yield f"flash_{name}_bytes", getattr(cost.flash, name, None)


def _second_cells(stages: Sequence[str], record: Trial | Finalist | None) -> Iterator[tuple[str, Cell]]:
    """Wall time of each stage [s]."""
    return ((f"{stage}_s", None if record is None else record.seconds.get(stage)) for stage in stages)
