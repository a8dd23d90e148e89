"""Rescaling, offline and in C: the roundings are gemmlowp's, at every edge."""

import ctypes
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynas.compiler.fixed_point import (
    doubling_high_product,
    quantize_multiplier,
    quantized,
    rounding_shift,
)
from tinynas.errors import UnsupportedError
from tinynas.paths import FIRMWARE

int32 = st.one_of(
    st.integers(-(2**31), 2**31 - 1), st.sampled_from([-(2**31), -(2**31) + 1, -1, 0, 1, 2**30, 2**31 - 1])
)
multipliers = st.integers(2**30, 2**31 - 1)
shifts = st.integers(-31, 30)


def gemmlowp_high_product(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul as gemmlowp writes it, for b >= 0: C++ division truncates."""
    nudged = a * b + (2**30 if a * b >= 0 else 1 - 2**30)
    return abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)


@given(int32, multipliers)
def test_the_high_product_is_gemmlowps(a: int, b: int) -> None:
    assert doubling_high_product(a, b) == gemmlowp_high_product(a, b)


@given(int32, st.integers(0, 31))
def test_the_rounding_shift_rounds_halves_away_from_zero(value: int, exponent: int) -> None:
    half_away = (abs(value) + (1 << exponent) // 2) >> exponent
    assert rounding_shift(value, exponent) == (half_away if value >= 0 else -half_away)


@given(st.floats(2**-30, 2**20))
def test_a_multiplier_is_the_closest_there_is(real: float) -> None:
    found = quantize_multiplier(real)
    assert 2**30 <= found.value < 2**31
    error = abs(Fraction(found.value) * Fraction(2) ** (found.shift - 31) - Fraction(real))
    assert error <= Fraction(2) ** (found.shift - 32)


def test_factors_beyond_the_range_are_zero_or_refused() -> None:
    assert quantize_multiplier(2**-33).value == 0
    assert quantize_multiplier(0.0).value == 0
    for real in (2.0**30, float("inf"), float("nan")):
        with pytest.raises(UnsupportedError, match="rescaling factor"):
            quantize_multiplier(real)


@pytest.mark.parametrize(("real", "expected"), [(6.0, 22), (-1.0, 8), (0.25, 11), (-0.25, 9), (0.0, 10)])
def test_quantized_values_round_halves_away_from_zero(real: float, expected: int) -> None:
    assert quantized(real, 0.5, 10) == expected


def test_a_quotient_beyond_float32_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="6 at scale 1e-40 does not fit int32"):
        quantized(6.0, 1e-40, 0)


@pytest.fixture(scope="module")
def library(cc: str, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("fixed_point")
    source = '#include "tn_fixed_point.h"\nint32_t multiply(int32_t v, int32_t m, int32_t s);\n'
    source += "int32_t multiply(int32_t v, int32_t m, int32_t s) { return tn_multiply(v, m, s); }\n"
    (folder / "multiply.c").write_text(source)
    path: Path = folder / "multiply.so"
    flags = ["-std=c11", "-O1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", f"-I{FIRMWARE / 'lib'}"]
    subprocess.run([cc, "-shared", "-fPIC", *flags, "-o", path, folder / "multiply.c"], check=True)
    return ctypes.CDLL(str(path))


@given(value=int32, multiplier=multipliers, shift=shifts)
def test_the_c_kernels_multiply_as_the_compiler_does(
    library: ctypes.CDLL, value: int, multiplier: int, shift: int
) -> None:
    left, right = max(shift, 0), max(-shift, 0)
    wrapped = ((value << left) + 2**31) % 2**32 - 2**31
    expected = rounding_shift(gemmlowp_high_product(wrapped, multiplier), right)
    assert library.multiply(value, multiplier, shift) == expected
