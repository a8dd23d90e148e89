"""What the generated C is made for. The results are the same on all; the speed is not."""

from typing import Literal

# cortex-m55: with vectors (MVE) and DSP instructions. cortex-m4: with DSP instructions (M4, M7, M33). cortex-m0: Thumb
# without them (M0, M0+, M3). portable: any C11.
Target = Literal["cortex-m55", "cortex-m4", "cortex-m0", "portable"]

TARGETS: tuple[Target, ...] = ("cortex-m55", "cortex-m4", "cortex-m0", "portable")

WITH_DSP: tuple[Target, ...] = ("cortex-m55", "cortex-m4")

# speed: each layer has code of its own. size: layers share what they can, and loops are not written out.
Optimize = Literal["speed", "size"]

OPTIMIZATIONS: tuple[Optimize, ...] = ("speed", "size")
