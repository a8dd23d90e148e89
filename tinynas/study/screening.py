"""What screening found: the operators' latencies for a multiply-accumulate, and those that a board does badly."""

from dataclasses import asdict, dataclass
from typing import Any

from tinynas.cost import Validity

# Height, width, channels.
Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one choice costs at one size: latency [us] and energy [uJ] beyond a network without its layers. None where
    it does not fit the board; energy also where the board's power is not known.
    """

    name: str
    choice: int
    size: Shape
    macs: int
    latency_us: float | None
    energy_uj: float | None

    @property
    def ns_per_mac(self) -> float | None:
        return None if self.latency_us is None else 1000 * self.latency_us / self.macs

    @property
    def nj_per_mac(self) -> float | None:
        return None if self.energy_uj is None else 1000 * self.energy_uj / self.macs


@dataclass(frozen=True, kw_only=True)
class Screening:
    """All timings on one board. `factor`: a choice that takes more than so many times the best one's latency for a MAC,
    at every size, is done badly.
    """

    space: str
    factor: float
    source: str
    validity: Validity
    timings: tuple[Timing, ...]

    def ratio(self, timing: Timing) -> float | None:
        """Its latency for a MAC over that of the best choice of its name and size."""
        rivals = [
            each.ns_per_mac
            for each in self.timings
            if (each.name, each.size) == (timing.name, timing.size) and each.ns_per_mac is not None
        ]
        return None if timing.ns_per_mac is None else timing.ns_per_mac / min(rivals)

    @property
    def dropped(self) -> dict[str, tuple[int, ...]]:
        """Name -> the choices that the board does badly."""
        found: dict[str, list[int]] = {}
        for name, choice in dict.fromkeys((each.name, each.choice) for each in self.timings):
            ratios = [self.ratio(each) for each in self.timings if (each.name, each.choice) == (name, choice)]
            known = [ratio for ratio in ratios if ratio is not None]
            if known and min(known) > self.factor:
                found.setdefault(name, []).append(choice)
        return {name: tuple(choices) for name, choices in found.items()}

    @property
    def setting(self) -> str:
        """What to write into a search's TOML file; empty where nothing is dropped."""
        if not self.dropped:
            return ""
        choices = ", ".join(f"{name} = {list(choices)}" for name, choices in self.dropped.items())
        return f'[space]\nname = "{self.space}"\ndrop = {{ {choices} }}'

    def to_json(self) -> dict[str, Any]:
        timings = [
            {
                **asdict(each),
                "ns_per_mac": each.ns_per_mac,
                "nj_per_mac": each.nj_per_mac,
                "ratio": self.ratio(each),
            }
            for each in self.timings
        ]
        return {
            "space": self.space,
            "source": self.source,
            "validity": asdict(self.validity),
            "factor": self.factor,
            "timings": timings,
            "dropped": {name: list(choices) for name, choices in self.dropped.items()},
        }
