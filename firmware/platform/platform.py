"""PlatformIO's entry to this development platform, which needs no packages: nothing is fetched."""

from platformio.public import PlatformBase


class TinynasPlatform(PlatformBase):
    """Bare-metal Cortex-M with the compiler on PATH."""
