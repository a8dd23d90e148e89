"""The exponential and its relatives in fixed point, to the last bit as gemmlowp's fixedpoint.h has them.

Numbers are int32: Qn.m has n integer bits and m = 31 - n bits below them.
"""

from tinynas.compiler.fixed_point import INT32_MAX, doubling_high_product, rounding_shift

# exp(-2^exponent) in Q0.31.
_EXPONENTIALS = {-2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242}
_EXP_MINUS_EIGHTH = 1895147668
_ONE_THIRD = 715827883
# In Q2.29.
_48_OVER_17 = 1515870810
_MINUS_32_OVER_17 = -1010580540
_ONE_Q2 = 1 << 29


def exponential(value: int, integer_bits: int) -> int:
    """exp(value) in Q0.31 for value <= 0 with `integer_bits` integer bits, up to 5."""
    if value == 0:
        return INT32_MAX
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    remainder = (value & (quarter - 1)) - quarter
    result = _exponential_of_fraction(remainder << integer_bits)
    quarters = remainder - value
    for exponent, factor in _EXPONENTIALS.items():
        if exponent < integer_bits and quarters & (1 << (fraction_bits + exponent)):
            result = doubling_high_product(result, factor)
    return result


def logistic(value: int) -> int:
    """1 / (1 + exp(-value)) in Q0.31, value in Q4.27."""
    if value == 0:
        return 1 << 30
    positive = _saturate(_reciprocal(exponential(-abs(value), 4)) << 1)
    return positive if value > 0 else INT32_MAX - positive


def tanh(value: int) -> int:
    """tanh(value) in Q0.31, value in Q4.27."""
    if value == 0:
        return 0
    # Twice the value is the same number with one integer bit more.
    opposite = _saturate((_reciprocal(exponential(-abs(value), 5)) - _ONE_Q2) << 2)
    return opposite if value > 0 else -opposite


def _saturate(value: int) -> int:
    return min(max(value, -INT32_MAX - 1), INT32_MAX)


def _reciprocal(value: int) -> int:
    """2 / (1 + value) in Q2.29 for 0 <= value <= 1 in Q0.31, by three steps of Newton and Raphson."""
    half_denominator = (value + INT32_MAX + 1) >> 1
    x = _48_OVER_17 + doubling_high_product(half_denominator, _MINUS_32_OVER_17)
    for _ in range(3):
        rest = _ONE_Q2 - doubling_high_product(half_denominator, x)
        x += _saturate(doubling_high_product(x, rest) << 2)
    return x


def _exponential_of_fraction(value: int) -> int:
    """exp(value) in Q0.31 for -1/4 <= value < 0: a Taylor series about -1/8."""
    x = value + (1 << 28)
    square = doubling_high_product(x, x)
    cube = doubling_high_product(square, x)
    fourth = rounding_shift(doubling_high_product(square, square), 2)
    tail = rounding_shift(doubling_high_product(fourth + cube, _ONE_THIRD) + square, 1)
    return _EXP_MINUS_EIGHTH + doubling_high_product(_EXP_MINUS_EIGHTH, x + tail)
