"""How figures are written for people: units, thousands, and where a figure comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tinynas.cost import Cost, Costs, Source


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A figure's name for people and the unit that a chart's axis uses: the figure times `scale` is in `unit`."""

    title: str
    unit: str
    scale: float = 1.0

    @property
    def axis(self) -> str:
        return f"{self.title} [{self.unit}]"


QUANTITIES = {
    "latency_us": Quantity(title="Latency", unit="ms", scale=1e-3),
    "sram_bytes": Quantity(title="SRAM", unit="KB", scale=1 / 1024),
    "flash_bytes": Quantity(title="Flash", unit="KB", scale=1 / 1024),
    "energy_uj": Quantity(title="Energy", unit="µJ"),
}
_SOURCES = {"latency_us": "latency_source", "sram_bytes": "sram_source", "flash_bytes": "flash_source"}


def quantity_of(figure: str) -> Quantity:
    """Of a figure, or of one on a board: latency_us@BOARD."""
    name, at, board = figure.partition("@")
    quantity = QUANTITIES[name]
    return replace(quantity, title=f"{quantity.title} on {board}") if at else quantity


def figures_on(boards: Sequence[str]) -> list[str]:
    """The names of all figures; on several boards those of each board's."""
    return list(QUANTITIES) if len(boards) < 2 else [f"{name}@{board}" for board in boards for name in QUANTITIES]


def title_of(figure: str) -> str:
    """Its name for people; one that is not known keeps its own."""
    return quantity_of(figure).title if figure.partition("@")[0] in QUANTITIES else figure


def source_of(cost: Cost | Costs, figure: str) -> Source | None:
    """Where a figure of `cost` comes from."""
    if isinstance(cost, Costs):
        cost = cost.deciding(figure)
    source: Source | None = getattr(cost, _SOURCES.get(figure.partition("@")[0], "energy_source"))
    return source


def written(figure: str, value: float | None) -> str:
    """A figure, also one on a board, with its unit; a dash when it is not known."""
    if value is None:
        return "–"
    match figure.partition("@")[0]:
        case "latency_us":
            return (
                f"{value / 1e6:,.2f} s"
                if value >= 1e6
                else f"{value / 1e3:,.2f} ms"
                if value >= 1e3
                else f"{value:,.1f} µs"
            )
        case "energy_uj":
            return f"{value / 1e3:,.2f} mJ" if value >= 1e3 else f"{value:,.1f} µJ"
        case "error":
            return percent(value)
    return f"{value:,.0f} B"


def percent(fraction: float | None) -> str:
    """0.8932 -> "89.3 %"."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def duration(seconds: float) -> str:
    """Wall time: "41.2 s", "12 min 05 s", "3 h 20 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
