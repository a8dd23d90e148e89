"""A study's file as checked records. What SQLite gives back has the right names, but anybody may have written it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tinynas.cost import Validity
from tinynas.errors import StoreError
from tinynas.study.store import Finalist, Store, Trial

_TRIALS = TypeAdapter(list[Trial])
_FINALISTS = TypeAdapter(list[Finalist])


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TaskFact(_Part):
    """The data that the study learned from. `sizes` are samples in the train, validation and test split."""

    name: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    digest: str
    source: str
    sizes: tuple[int, int, int]


class AxisFact(_Part):
    name: str
    choices: Annotated[tuple[int, ...], Field(min_length=1)]


class SpaceFact(_Part):
    name: str
    axes: tuple[AxisFact, ...] = ()


class BoardFact(_Part):
    """What a study records about a further board."""

    validity: Validity


class Facts(_Part):
    """What a study records about its surroundings.

    bounds: figure, on several boards latency_us@BOARD and so on -> the most that a network may need.
    also: the further boards by name.
    """

    board: str
    also: Mapping[str, BoardFact] = {}
    task: TaskFact
    space: SpaceFact
    seed: int
    tinynas: str
    bounds: Mapping[str, float]
    validity: Validity | None = None
    elapsed_s: Annotated[float, Field(ge=0)] = 0.0
    finished: bool = False
    finalist_failures: Mapping[str, str] = {}

    @property
    def boards(self) -> tuple[str, ...]:
        """The main board, then the further ones."""
        return self.board, *self.also


class NetworkLayer(_Part):
    """One layer of a decoded network; `inputs` are numbers of earlier layers, `shape` its output without batch."""

    name: str
    op: str
    inputs: tuple[Annotated[int, Field(ge=0)], ...] = ()
    shape: tuple[int, ...] = ()
    kernel: tuple[int, ...] | None = None
    stride: tuple[int, ...] | None = None
    activation: str | None = None


class CompiledLayer(_Part):
    """One layer of a compiled network: multiply-accumulates, bytes of constants, bytes of its output."""

    index: int
    op: str
    name: str = ""
    output_shape: tuple[int, ...] = ()
    macs: Annotated[int, Field(ge=0)]
    constants_bytes: Annotated[int, Field(ge=0)]
    output_bytes: Annotated[int, Field(ge=0)]
    comment: str = ""


_NETWORK = TypeAdapter(tuple[NetworkLayer, ...])
_LAYERS = TypeAdapter(tuple[CompiledLayer, ...])


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study, checked. `networks` and `layers` map a trial's number to its decoded and its compiled layers, and
    `final_layers` to those that it has as a finalist.
    """

    facts: Facts
    trials: Sequence[Trial]
    finalists: Mapping[int, Finalist]
    networks: Mapping[int, tuple[NetworkLayer, ...]]
    layers: Mapping[int, tuple[CompiledLayer, ...]]
    final_layers: Mapping[int, tuple[CompiledLayer, ...]]

    @property
    def records(self) -> list[Trial | Finalist]:
        """All trials, then all finalists."""
        return [*self.trials, *self.finalists.values()]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A study as it was at one moment. `changed`: numbers of the trials that were not there before, or another way;
    `hashes` are for whoever reads on.
    """

    study: Study
    changed: frozenset[int]
    hashes: Mapping[int, int]


def read_study(store: Store) -> Study:
    """Read and check everything that a report shows.

    Raises:
        StoreError: a fact is missing, or a value has another type or range than tinynas writes.
    """
    return read_on(store, None).study


def read_on(store: Store, earlier: Reading | None) -> Reading:
    """The study as it is now. Only trials that have changed since an `earlier` reading are checked. Raises as
    `read_study`.
    """
    with store.snapshot(), _damage_explained(store):
        changed, hashes = store.trials_but({} if earlier is None else earlier.hashes)
        trials = {} if earlier is None else {trial.number: trial for trial in earlier.study.trials}
        networks = {} if earlier is None else dict(earlier.study.networks)
        layers = {} if earlier is None else dict(earlier.study.layers)
        for trial in _checked(_TRIALS, list(changed.values())):
            trials[trial.number] = trial
            networks[trial.number] = _NETWORK.validate_python(trial.network)
            layers[trial.number] = _LAYERS.validate_python(trial.layers)
            _require_order(trial.number, networks[trial.number])
        finalists = {finalist.trial: finalist for finalist in _checked(_FINALISTS, store.finalists())}
        if not hashes.keys() <= trials.keys():
            raise ValueError("a trial has another number in its record")
        if not finalists.keys() <= hashes.keys():
            raise ValueError("a finalist belongs to no trial")
        study = Study(
            facts=_facts(store),
            trials=[trials[number] for number in hashes],
            finalists=finalists,
            networks={number: networks[number] for number in hashes},
            layers={number: layers[number] for number in hashes},
            final_layers={number: _LAYERS.validate_python(each.layers) for number, each in finalists.items()},
        )
    return Reading(study=study, changed=frozenset(changed), hashes=hashes)


@contextmanager
def _damage_explained(store: Store) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"study {store.path} is damaged: {error.title} {where}: {first['msg']}") from error
    except ValueError as error:
        raise StoreError(f"study {store.path} is damaged: {error}") from error


def _checked(adapter: TypeAdapter[Any], records: Sequence[Any]) -> Any:
    """Dataclasses do not check themselves; JSON also refuses NaN and infinity, which no browser could parse."""
    return adapter.validate_json(json.dumps([asdict(record) for record in records], allow_nan=False))


def _facts(store: Store) -> Facts:
    values = {name: store.fact(name) for name in Facts.model_fields}
    present = {name: value for name, value in values.items() if value is not None}
    return Facts.model_validate_json(json.dumps(present, allow_nan=False))


def _require_order(number: int, network: tuple[NetworkLayer, ...]) -> None:
    for index, layer in enumerate(network):
        if any(source >= index for source in layer.inputs):
            raise ValueError(f"trial {number}: layer {index} of its network reads a later layer")
