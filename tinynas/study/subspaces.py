"""What refinement found of a space's parts: how much compute their feasible networks have."""

import math
from dataclasses import dataclass
from typing import Any

from tinynas.errors import NothingFeasibleError

# The compute that this share of the feasible networks stays below is what sub-spaces are compared by.
_TOP = 0.8
# Of fewer feasible networks the top says little.
LEAST_FEASIBLE = 20


@dataclass(frozen=True, kw_only=True)
class SubSpace:
    """One choice of the scales. `macs`: of its feasible networks among `sampled` different networks, ascending."""

    values: dict[str, int]
    sampled: int
    macs: tuple[int, ...]

    def quantile(self, share: float) -> int | None:
        """The least MACs that at least `share` of the feasible networks do not exceed; None without any."""
        return self.macs[max(0, math.ceil(share * len(self.macs)) - 1)] if self.macs else None

    @property
    def top_macs(self) -> int | None:
        return self.quantile(_TOP)

    def to_json(self) -> dict[str, Any]:
        return {
            "values": self.values,
            "sampled": self.sampled,
            "feasible": len(self.macs),
            "macs_median": self.quantile(0.5),
            "macs_top": self.top_macs,
            "macs_most": self.quantile(1.0),
        }


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """All sub-spaces; `chosen` has the largest `top_macs` of those with enough feasible networks."""

    space: str
    board: str
    bounds: dict[str, float]
    subspaces: tuple[SubSpace, ...]

    @property
    def chosen(self) -> SubSpace:
        """
        Raises:
            NothingFeasibleError: no sub-space has enough feasible networks.
        """
        enough = [each for each in self.subspaces if len(each.macs) >= LEAST_FEASIBLE]
        if not enough:
            most = max(len(each.macs) for each in self.subspaces)
            raise NothingFeasibleError(
                f"no sub-space of {self.space} has {LEAST_FEASIBLE} networks that can meet the limits, the best has "
                f"{most}: raise a limit, or name a larger board"
            )
        return max(enough, key=lambda each: each.top_macs or 0)

    @property
    def setting(self) -> str:
        """What to write into a search's TOML file."""
        values = ", ".join(f"{name} = {value}" for name, value in self.chosen.values.items())
        return f'[space]\nname = "{self.space}"\nfix = {{ {values} }}'

    def to_json(self) -> dict[str, Any]:
        return {
            "space": self.space,
            "board": self.board,
            "bounds": self.bounds,
            "source": "estimated",
            "subspaces": [each.to_json() for each in self.subspaces],
            "chosen": self.chosen.values,
        }


def written(values: dict[str, int]) -> str:
    """`reduce 2, width 50`."""
    return ", ".join(f"{name} {value}" for name, value in values.items())
