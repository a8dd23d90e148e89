"""Networks known to be good, as genes: what a search may begin with. Each is the nearest that its space can say."""

from collections.abc import Mapping

# Zhang, Suda, Lai and Chandra, "Hello Edge: Keyword Spotting on Microcontrollers", 2017: a convolution and four
# separable ones of one width.
_DS_CNN_IMAGE = {
    "reduce": 1,
    "stem_filters": 24,
    "stem_kernel": 5,
    "stem_stride": 2,
    **{"depth_1": 3, "block_1": 1, "kernel_1": 3, "filters_1": 64, "stride_1": 1},
    **{"depth_2": 1, "block_2": 1, "kernel_2": 3, "filters_2": 64, "stride_2": 1},
}

# Howard et al., "MobileNets", 2017, at a quarter of the width, as in MLPerf Tiny's visual wake words.
_MOBILENET_IMAGE = {
    "reduce": 1,
    "stem_filters": 8,
    "stem_kernel": 3,
    "stem_stride": 2,
    **{"depth_1": 1, "block_1": 1, "kernel_1": 3, "filters_1": 16, "stride_1": 1},
    **{"depth_2": 2, "block_2": 1, "kernel_2": 3, "filters_2": 32, "stride_2": 2},
    **{"depth_3": 2, "block_3": 1, "kernel_3": 3, "filters_3": 64, "stride_3": 2},
    **{"depth_4": 3, "block_4": 1, "kernel_4": 3, "filters_4": 96, "stride_4": 2},
}

# He et al., "Deep Residual Learning for Image Recognition", 2016, with three stages of two convolutions as in MLPerf
# Tiny's image classification; this space adds no inputs to plain convolutions.
_RESNET_IMAGE = {
    "reduce": 1,
    "stem_filters": 16,
    "stem_kernel": 3,
    "stem_stride": 1,
    **{"depth_1": 2, "block_1": 0, "kernel_1": 3, "filters_1": 16, "stride_1": 1},
    **{"depth_2": 2, "block_2": 0, "kernel_2": 3, "filters_2": 32, "stride_2": 2},
    **{"depth_3": 2, "block_3": 0, "kernel_3": 3, "filters_3": 64, "stride_3": 2},
}

_DS_CNN_SERIES = {
    "stem_filters": 32,
    "stem_kernel": 9,
    "stem_stride": 2,
    **{"depth_1": 3, "kernel_1": 3, "filters_1": 64, "stride_1": 1},
    **{"depth_2": 1, "kernel_2": 3, "filters_2": 64, "stride_2": 1},
}

# Sandler et al., "MobileNetV2", 2018: expansion 6, kernels of 3.
_MOBILENET_V2 = {
    "reduce": 1,
    "width": 50,
    "stem_stride": 2,
    **{"depth_1": 1, "kernel_1": 3, "expansion_1": 1},
    **{"depth_2": 2, "kernel_2": 3, "expansion_2": 6},
    **{"depth_3": 3, "kernel_3": 3, "expansion_3": 6},
    **{"depth_4": 3, "kernel_4": 3, "expansion_4": 6},
    **{"depth_5": 3, "kernel_5": 3, "expansion_5": 6},
    "head": 4,
}

# Space -> name -> genes; an axis that is not named takes its first choice.
KNOWN: Mapping[str, Mapping[str, Mapping[str, int]]] = {
    "image": {"ds_cnn": _DS_CNN_IMAGE, "mobilenet": _MOBILENET_IMAGE, "resnet": _RESNET_IMAGE},
    "series": {"ds_cnn": _DS_CNN_SERIES},
    "mobilenet": {"mobilenet_v2": _MOBILENET_V2},
}
