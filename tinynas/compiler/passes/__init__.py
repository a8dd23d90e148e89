"""Passes: graph -> graph, each exact: the network's outputs stay the same for every input."""

from tinynas.compiler.passes.constant_channels import drop_constant_channels
from tinynas.compiler.passes.padding import fold_padding

__all__ = ["drop_constant_channels", "fold_padding"]
