"""Passes: graph -> graph, each exact: the network's outputs stay the same for every input."""

from tinynas.compiler.passes.constant_channels import drop_constant_channels

__all__ = ["drop_constant_channels"]
