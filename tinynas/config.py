"""A study's settings: TOML and flags -> frozen sections. A stage gets its own section, never the whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from tinynas.settings import Section, checked, parse, quantity, read_text

FIGURES = ("error", "latency_us", "sram_bytes", "flash_bytes", "energy_uj")


def _objective(name: str) -> str:
    figure, at, board = name.partition("@")
    if figure not in FIGURES or (at and (figure == "error" or not board)):
        raise ValueError(f"{name!r} is no objective: write one of {', '.join(FIGURES)}, or latency_us@BOARD")
    return name


Bytes = Annotated[float, BeforeValidator(lambda value: quantity(value, "bytes")), Field(gt=0)]
Microseconds = Annotated[float, BeforeValidator(lambda value: quantity(value, "us")), Field(gt=0)]
Microjoules = Annotated[float, BeforeValidator(lambda value: quantity(value, "uj")), Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(lambda value: quantity(value, "s")), Field(gt=0)]
Hertz = Annotated[int, BeforeValidator(lambda value: quantity(value, "hz")), Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=0.9)]
Count = Annotated[int, Field(gt=0)]
Objective = Annotated[str, AfterValidator(_objective)]


class TaskSection(Section):
    """The data: a builtin task by `name`, or the user's own at `path`, read as `kind` says.

    `group_regex` (images, audio) and `subject_column` (series) name what must not straddle two splits.
    """

    name: str = "fashion_mnist"
    kind: Literal["builtin", "npz", "images", "audio", "series"] = "builtin"
    path: Path | None = None
    val_fraction: Fraction = 0.15
    test_fraction: Fraction = 0.15
    image_size: Count | None = None
    grayscale: bool = False
    group_regex: str | None = None
    sample_rate_hz: Count = 16000
    clip_ms: Count = 1000
    mel_bands: Count = 40
    frame_ms: Count = 32
    hop_ms: Count = 20
    window: Count = 128
    stride: Count = 64
    subject_column: str | None = None
    label_column: str = "label"
    value_columns: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _path_goes_with_kind(self) -> Self:
        if (self.kind == "builtin") != (self.path is None):
            raise ValueError(f"kind {self.kind!r} {'takes no path' if self.path else 'needs a path'}")
        return self


class SpaceSection(Section):
    """The search space: a builtin one by `name`, or `file`, a Python file that defines SPACE. `fix` gives
    axes one value each; `drop` takes choices away, `kernel = [7]` from kernel_1, kernel_2 and so on.
    `reduce`: windows of so many pixels, or moments, one of which the input is averaged over first: resolution, or
    sample rate, as an axis of spaces that have none. `hardware`: what is chosen for each network beside its layers, by
    genes of these names.
    """

    name: str = "image"
    file: Path | None = None
    fix: dict[str, int] = Field(default_factory=dict)
    drop: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    reduce: tuple[Annotated[int, Field(ge=1, le=64)], ...] = ()
    hardware: tuple[Literal["optimize", "patches", "fast_memory", "clock", "activations"], ...] = ()

    @model_validator(mode="after")
    def _genes_are_distinct(self) -> Self:
        if len(set(self.hardware)) != len(self.hardware):
            raise ValueError("hardware genes are named twice")
        return self


class PlaceSection(Section):
    """Where boards of one kind are: those of their name in the file `bench`, or the one on `port`, or those that are
    found by their USB ids; `count` emulated boards work in parallel. `clock`: one of their clock steps that they run
    at; None: their manifest's clock.
    """

    bench: Path | None = None
    port: str | None = None
    count: Annotated[int, Field(ge=1, le=64)] = 1
    clock: Hertz | None = None

    @model_validator(mode="after")
    def _one_way_to_the_board(self) -> Self:
        if self.bench is not None and self.port is not None:
            raise ValueError(f"bench {str(self.bench)!r} says where boards are: leave out port {self.port!r}")
        return self


class BoardSection(PlaceSection):
    """The board to measure on. `optimize`: whether images are compiled for speed or size.
    `batch`: how many candidates that wait for a board are flashed together at most; None: 8, but 1 on an emulated
    board, which is flashed sooner than such an image is linked.
    """

    name: str = "netduinoplus2"
    repeats: Annotated[int, Field(ge=1, le=1000)] = 3
    samples: Annotated[int, Field(ge=1, le=1000)] = 16
    optimize: Literal["speed", "size"] = "speed"
    batch: Annotated[int, Field(ge=1, le=32)] | None = None


class LimitsSection(Section):
    """What the network may need at most; None means no limit. The board's own memories always apply."""

    latency: Microseconds | None = None
    sram: Bytes | None = None
    flash: Bytes | None = None
    energy: Microjoules | None = None

    def bounds(self) -> dict[str, float]:
        """Figure name -> bound, for the limits that are set."""
        named = {
            "latency_us": self.latency,
            "sram_bytes": self.sram,
            "flash_bytes": self.flash,
            "energy_uj": self.energy,
        }
        return {name: bound for name, bound in named.items() if bound is not None}


class AlsoSection(PlaceSection, LimitsSection):
    """A further board, [also.NAME], that every network must serve as well; samples, repeats and so on are those of
    [board]. Its own limits apply there, and those of [limits] that it does not give. `calibration`: as in [estimate].
    """

    calibration: Path | None = None


class EstimateSection(Section):
    """How a candidate's latency is found while searching: "measured" on the board, or estimated, and then only the
    front is measured, at the end. Estimates are "analytic", from a model of the CPU's instructions, or come from the
    board's calibration: its "table", or what is "learned" from it. `calibration`: its file; None: the one that tinynas
    calibrate writes.
    """

    latency: Literal["measured", "analytic", "table", "learned"] = "measured"
    calibration: Path | None = None

    @model_validator(mode="after")
    def _calibration_is_for_estimates(self) -> Self:
        if self.latency in ("measured", "analytic") and self.calibration is not None:
            raise ValueError('a calibration is for latency = "table" or "learned"')
        return self


class SearchSection(Section):
    """How to search: `budget` evaluations or `time` seconds, whichever comes first.

    objectives: on several boards a cost is the worst over them, and with @BOARD behind its name that on one of them.
    formulation: whether strategies are told all objectives ("pareto"), or MnasNet's weighted product of them with
        `exponents` (-0.07 where none is given), or their Chebyshev distance under ever new random weights.
    predictor: whether a model of what is known chooses among the strategy's proposals; None: where it makes any.
    start: what to begin with: names of known networks, genomes, files of earlier studies, whose fronts are taken.
    ahead: how many candidates may be under way at once; None: two for each worker and each board, at least 6.
    """

    strategy: str = "nsga2"
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] = ("error", "latency_us")
    formulation: Literal["pareto", "weighted_product", "chebyshev"] = "pareto"
    exponents: dict[str, Annotated[float, Field(lt=0, ge=-10)]] = Field(default_factory=dict)
    budget: Count = 64
    time: Seconds | None = None
    population: Annotated[int, Field(ge=2)] = 12
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    workers: Count = 2
    predictor: bool | None = None
    ahead: Count | None = None
    start: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _objectives_are_distinct(self) -> Self:
        if len(set(self.objectives)) != len(self.objectives):
            raise ValueError("objectives are named twice")
        return self

    @model_validator(mode="after")
    def _exponents_are_of_costs(self) -> Self:
        if self.exponents and self.formulation != "weighted_product":
            raise ValueError(f"formulation {self.formulation!r} takes no exponents: weighted_product does")
        wrong = [name for name in self.exponents if name == "error" or name not in self.objectives]
        if wrong:
            raise ValueError(f"exponents are of the costs among the objectives, not of {', '.join(wrong)}")
        return self


class TrainSection(Section):
    """How a candidate is trained; `samples` and `val_samples` None take all.

    flip, shift: whether training samples are mirrored by chance, and by up to how many rows and columns they are moved,
    series and sounds in time alone; they are seen differently every time.
    inherit: whether it starts from the weights of the trained candidate before it that differs from it in the fewest
    axes. Finalists are always trained from the start.
    """

    epochs: Count = 8
    samples: Count | None = 12000
    val_samples: Count | None = 3000
    batch_size: Count = 64
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-2
    patience: Count = 3
    flip: bool = False
    shift: Annotated[int, Field(ge=0, le=16)] = 0
    inherit: bool = False
    timeout: Seconds = 1800.0
    memory: Bytes = 8 * 1024**3


class StopSection(Section):
    """Whether a candidate's training ends early when it promises too little, beside those before it.

    halving: after `first_epochs` epochs, `reduction` times as many and so on, one of `reduction` goes on. curve: what
    would not come to the front with gains that nine in ten of those before it fell short of is stopped.
    """

    rule: Literal["none", "halving", "curve"] = "none"
    first_epochs: Count = 2
    reduction: Annotated[int, Field(ge=2)] = 2


class FinalSection(Section):
    """How the front's best are finished: `count` of them, `qat_points` is what PTQ may lose before QAT is tried.

    distill: weight of what the most accurate of them, at `temperature`, teaches the others; None: labels alone teach.
    prune: the fraction of its channels that each is then tried without, tuned for `prune_epochs`; None: none. What is
    left takes its place if it is better in some objective and worse in none, `prune_points` of accuracy forgiven.
    """

    count: Annotated[int, Field(ge=1)] = 3
    epochs: Count = 30
    patience: Count = 15
    qat_epochs: Count = 3
    qat_points: Annotated[float, Field(ge=0)] = 0.5
    distill: Annotated[float, Field(gt=0, le=1)] | None = None
    temperature: Annotated[float, Field(ge=1, le=100)] = 4.0
    prune: Annotated[float, Field(gt=0, lt=1)] | None = None
    prune_epochs: Count = 10
    prune_points: Annotated[float, Field(ge=0)] = 0.0


class SupernetSection(Section):
    """Whether candidates of spaces image and mobilenet are scored, untrained, with weights that all share. These are
    trained once, for `epochs` by [train]'s samples, batch_size and learning_rate, with so many `networks` drawn at
    random among those that may meet the limits.

    tune: whether finalists are trained on from there, taught by the largest network, instead of anew.
    """

    enabled: bool = False
    epochs: Count = 30
    networks: Count = 1000
    tune: bool = False
    timeout: Seconds = 6 * 3600.0


class CacheSection(Section):
    """Whether trained networks and emulated costs are kept for other studies, and found again, and how many [B]."""

    enabled: bool = False
    size: Bytes = 4 * 1024**3


class Config(Section):
    """All of a study's settings."""

    task: TaskSection = TaskSection()
    space: SpaceSection = SpaceSection()
    board: BoardSection = BoardSection()
    limits: LimitsSection = LimitsSection()
    estimate: EstimateSection = EstimateSection()
    search: SearchSection = SearchSection()
    train: TrainSection = TrainSection()
    stop: StopSection = StopSection()
    supernet: SupernetSection = SupernetSection()
    final: FinalSection = FinalSection()
    cache: CacheSection = CacheSection()
    also: dict[str, AlsoSection] = Field(default_factory=dict, validate_default=True)

    @field_validator("also", mode="after")
    @classmethod
    def _boards_fit_together(cls, also: dict[str, AlsoSection], info: ValidationInfo) -> dict[str, AlsoSection]:
        if not {"board", "estimate", "search"} <= info.data.keys():
            # What is wrong with those is said instead.
            return also
        board, estimate, search = (info.data[name] for name in ("board", "estimate", "search"))
        if board.name in also:
            raise ValueError(f"{board.name} is the main board already: it has its limits in [limits]")
        ports = [each.port for each in (board, *also.values()) if each.port is not None]
        if len(set(ports)) != len(ports):
            raise ValueError("two boards are on one port")
        if estimate.latency not in ("table", "learned") and any(each.calibration for each in also.values()):
            raise ValueError('a calibration is for [estimate] latency = "table" or "learned"')
        for name in search.objectives:
            _, at, on = name.partition("@")
            if at and on not in (board.name, *also):
                raise ValueError(f"objective {name!r}: the study's boards are {', '.join((board.name, *also))}")
        return also

    def bounds_on(self, board: str) -> dict[str, float]:
        """Figure name -> bound, for the limits that are set for a board of the study."""
        own = self.also.get(board)
        return {**self.limits.bounds(), **({} if own is None else own.bounds())}


def load_config(path: Path | None, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """Read a TOML file (None: the defaults) and lay the flags' `overrides` (section -> key -> value) over it.

    Relative paths in the file are relative to the file.

    Raises:
        ConfigError: the file cannot be read or is no TOML.
        ConfigError: a key is unknown or a value is out of range; the message names the line.
    """
    text = "" if path is None else read_text(path)
    settings = parse(text, path)
    if path is not None:
        _anchor_paths(settings, path.parent)
    for section, values in (overrides or {}).items():
        if values and isinstance(there := settings.setdefault(section, {}), dict):
            # An empty table, as of a further board that is just named, leaves what the file says of it.
            given = {key: value for key, value in values.items() if value != {} or key not in there}
            settings[section] = {**there, **given}
    return checked(Config, settings, path, text)


def with_search(config: Config, changes: Mapping[str, Any]) -> Config:
    """The same settings with other values in [search], checked as in a file. Raises ConfigError as `load_config`."""
    return load_config(None, {**config.model_dump(), "search": {**config.search.model_dump(), **changes}})


def _anchor_paths(settings: dict[str, Any], folder: Path) -> None:
    for section, key in (("task", "path"), ("space", "file"), ("board", "bench"), ("estimate", "calibration")):
        _anchor(settings.get(section), key, folder)
    also = settings.get("also")
    for values in also.values() if isinstance(also, dict) else ():
        _anchor(values, "bench", folder)
        _anchor(values, "calibration", folder)
    search = settings.get("search")
    if isinstance(search, dict) and isinstance(search.get("start"), list):
        search["start"] = [str(folder / one) if str(one).endswith(".db") else one for one in search["start"]]


def _anchor(values: Any, key: str, folder: Path) -> None:
    if isinstance(values, dict) and isinstance(values.get(key), str):
        values[key] = str(folder / values[key])
