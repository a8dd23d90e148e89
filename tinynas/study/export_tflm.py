"""Export for TensorFlow Lite Micro: the model as an aligned array, its operators, and the arena that it needs."""

from tinynas.errors import UnsupportedError
from tinynas.study.delivery import Delivery, licence, rendered

# Methods of tflite::MicroMutableOpResolver, tensorflow/lite/micro/micro_mutable_op_resolver.h.
RESOLVER_METHODS = {
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "BATCH_MATMUL": "AddBatchMatMul",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "DEPTH_TO_SPACE": "AddDepthToSpace",
    "DEQUANTIZE": "AddDequantize",
    "ELU": "AddElu",
    "EXPAND_DIMS": "AddExpandDims",
    "FULLY_CONNECTED": "AddFullyConnected",
    "HARD_SWISH": "AddHardSwish",
    "LEAKY_RELU": "AddLeakyRelu",
    "LOGISTIC": "AddLogistic",
    "LOG_SOFTMAX": "AddLogSoftmax",
    "MAXIMUM": "AddMaximum",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MINIMUM": "AddMinimum",
    "MIRROR_PAD": "AddMirrorPad",
    "MUL": "AddMul",
    "PACK": "AddPack",
    "PAD": "AddPad",
    "PADV2": "AddPadV2",
    "PRELU": "AddPrelu",
    "QUANTIZE": "AddQuantize",
    "REDUCE_MAX": "AddReduceMax",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "RESIZE_BILINEAR": "AddResizeBilinear",
    "RESIZE_NEAREST_NEIGHBOR": "AddResizeNearestNeighbor",
    "SLICE": "AddSlice",
    "SOFTMAX": "AddSoftmax",
    "SPACE_TO_DEPTH": "AddSpaceToDepth",
    "SPLIT": "AddSplit",
    "SPLIT_V": "AddSplitV",
    "SQUEEZE": "AddSqueeze",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "SUM": "AddSum",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
    "TRANSPOSE_CONV": "AddTransposeConv",
    "UNPACK": "AddUnpack",
}


def resolver_methods(operators: list[str]) -> list[str]:
    """The calls that register `operators`, each once, by name.

    Raises:
        UnsupportedError: an operator has no known registration.
    """
    unknown = sorted(set(operators) - set(RESOLVER_METHODS))
    if unknown:
        raise UnsupportedError(f"operator {unknown[0]} has no known registration in TensorFlow Lite Micro")
    return sorted({RESOLVER_METHODS[operator] for operator in operators})


def tflm_sources(delivery: Delivery, arena_bytes: int) -> dict[str, bytes]:
    """All files of the export: path in the folder -> content. arena_bytes: what tflite-micro reports [B]."""
    name = delivery.name
    methods = resolver_methods([layer.op for layer in delivery.program.layers])
    more = {"methods": methods, "arena_bytes": arena_bytes}
    return {
        f"{name}_model.h": rendered("model.h.j2", delivery, **more),
        f"{name}_model.cc": rendered("model.cc.j2", delivery, **more),
        f"{name}_resolver.h": rendered("resolver.h.j2", delivery, **more),
        "vector.h": rendered("vector.h.j2", delivery),
        "example.cc": rendered("example.cc.j2", delivery, **more),
        "README.md": rendered("README.tflm.md.j2", delivery, **more),
        "LICENSE": licence(),
    }
