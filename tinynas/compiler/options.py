"""How a network is compiled, beyond what it is compiled for."""

from dataclasses import dataclass
from typing import Any, Literal

from tinynas.compiler.target import Optimize

# How the first layers run: as a whole, in as many patches as make the arena smallest, or in so many at most.
Patches = Literal["off", "auto"] | int


@dataclass(frozen=True, kw_only=True)
class Options:
    """Arguments of `compile_network`, which says what they mean, for whoever hands them on."""

    keep_constant_channels: bool = False
    patches: Patches = "off"
    optimize: Optimize = "speed"
    fast_bytes: int = 0

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(vars(self))


DEFAULTS = Options()
