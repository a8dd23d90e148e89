"""Code for size: layers share kernels, loops are not written out, and every output stays the reference's."""

from pathlib import Path

import numpy as np
import pytest
from cases import AVR, CORTEX_M0, CORTEX_M4, HOST, RISCV, Case, Machine, make_cases, run_cases
from random_models import NETWORK, draw_models
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import Target, compile_network
from tinynas.errors import ConfigError

CPUS: dict[str, tuple[Machine, Target]] = {
    "host": (HOST, "cortex-m4"),
    "Cortex-M4": (CORTEX_M4.at("-Os"), "cortex-m4"),
    "Cortex-M0": (CORTEX_M0.at("-Os"), "cortex-m0"),
    "RISC-V": (RISCV.at("-Os"), "portable"),
    "AVR": (AVR, "portable"),
}


def chain(length: int) -> bytes:
    """Convolutions and element-wise operators in turn, all of one shape."""
    rng = np.random.default_rng(length)
    tensors = [Tensor([1, 5, 6, 4], 0.05, 3)]
    operations = []
    for _ in range(length):
        tensors += [
            Tensor([4, 3, 3, 4], 0.02, data=rng.integers(-127, 128, (4, 3, 3, 4))),
            Tensor([1, 5, 6, 4], 0.06, -5),
            Tensor([1, 5, 6, 4], 1 / 128, 0),
        ]
        last = len(tensors) - 1
        operations += [
            Operation("CONV_2D", [last - 3, last - 2], [last - 1], "Conv2D", {"strideH": 1, "strideW": 1}),
            Operation("TANH", [last - 1], [last]),
        ]
    return write_model(tensors, operations)


def sources(model: bytes, target: Target) -> str:
    return compile_network(model, target=target, optimize="size").files["network.c"].decode()


def cases_of(machine: Machine, target: Target) -> list[Case]:
    models = [chain(6), *draw_models(NETWORK, 20, start=7)]
    models += [model for name in ("CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D") for model in draw_models(name, 15)]
    cases = make_cases(models, "for size", targets=[target], optimize="size")
    return [case for case in cases if machine.holds(case)]


@pytest.mark.parametrize("cpu", CPUS)
def test_the_outputs_are_the_references(tmp_path: Path, cpu: str) -> None:
    machine, target = CPUS[cpu]
    if machine.missing():
        pytest.skip(f"{machine.missing()} is not on PATH")
    cases = cases_of(machine, target)
    assert len(cases) > 30
    assert run_cases(machine, cases, tmp_path) == []


def test_five_layers_share_a_kernel_and_four_do_not() -> None:
    assert sources(chain(5), "portable").count("TN_APART void tn_network_conv_0(") == 1
    assert sources(chain(5), "portable").count("    tn_network_conv_0(&layer, ") == 5
    assert sources(chain(5), "portable").count("    tn_network_map_1(&layer, ") == 5
    assert "TN_APART" not in sources(chain(4), "portable")


def test_what_is_shared_anyway_is_not_shared_again() -> None:
    assert "tn_network_pair_conv" not in sources(chain(6), "cortex-m4")


def test_an_unknown_aim_is_named() -> None:
    with pytest.raises(ConfigError, match="not optimised for 'beauty': speed or size is known"):
        compile_network(chain(1), optimize="beauty")  # type: ignore[arg-type]
