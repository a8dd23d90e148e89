"""Small .tflite files, written field by field with TensorFlow's own schema, so that a test says what is in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

_TYPES = {"int8": 9, "int32": 2, "float32": 0, "uint8": 3, "int16": 7, "int64": 4}


@dataclass
class Tensor:
    """`data` makes it a constant. scale and zero_point: numbers, or sequences along dimension `axis`."""

    shape: Sequence[int]
    scale: Any = 1.0
    zero_point: Any = 0
    dtype: str = "int8"
    data: np.ndarray | None = None
    axis: int = 0
    name: str = "tensor"
    signature: Sequence[int] | None = None


@dataclass
class Operation:
    """One operator. inputs: tensor numbers, -1 omits one; options: fields of the schema's `kind`Options."""

    name: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    kind: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def write_model(
    tensors: Sequence[Tensor],
    operations: Sequence[Operation],
    inputs: Sequence[int] = (0,),
    outputs: Sequence[int] = (-1,),
) -> bytes:
    """A model of one subgraph; outputs count from the end where negative."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], [schema.BufferT()], []
    graph.tensors = [_tensor(tensor, model) for tensor in tensors]
    graph.inputs = list(inputs)
    graph.outputs = [each % len(tensors) for each in outputs]
    graph.operators = [_operator(operation, model) for operation in operations]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(tensor: Tensor, model: Any) -> Any:
    made = schema.TensorT()
    made.shape, made.type, made.name = list(tensor.shape), _TYPES[tensor.dtype], tensor.name
    made.shapeSignature = None if tensor.signature is None else list(tensor.signature)
    if tensor.scale is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = np.atleast_1d(np.array(tensor.scale, np.float32))
        made.quantization.zeroPoint = np.broadcast_to(np.int64(tensor.zero_point), made.quantization.scale.shape)
        made.quantization.quantizedDimension = tensor.axis
    if tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(tensor.data.astype(tensor.dtype).tobytes(), np.uint8)
        made.buffer = len(model.buffers)
        model.buffers.append(buffer)
    return made


def _operator(operation: Operation, model: Any) -> Any:
    code, made = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = getattr(schema.BuiltinOperator, operation.name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = 1
    made.opcodeIndex = len(model.operatorCodes)
    model.operatorCodes.append(code)
    made.inputs, made.outputs = list(operation.inputs), list(operation.outputs)
    if operation.kind:
        kind = f"{operation.kind}Options"
        made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        made.builtinOptions = getattr(schema, f"{kind}T")()
        for name, value in operation.options.items():
            assert hasattr(made.builtinOptions, name), name
            setattr(made.builtinOptions, name, value)
    return made
