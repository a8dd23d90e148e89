"""tinynas: hardware-in-the-loop neural architecture search for int8 networks on microcontrollers."""

__version__ = "0.1.0"
