"""Passes over the graph, or over its steps: each exact, the network's outputs stay the same for every input."""

from tinynas.compiler.passes.activation import fold_activations
from tinynas.compiler.passes.addition import fold_additions
from tinynas.compiler.passes.constant_channels import drop_constant_channels
from tinynas.compiler.passes.padding import fold_padding
from tinynas.compiler.passes.static_shapes import fold_static_shapes

__all__ = ["drop_constant_channels", "fold_activations", "fold_additions", "fold_padding", "fold_static_shapes"]
