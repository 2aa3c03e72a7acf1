from decimal import ROUND_HALF_EVEN, Decimal

import pytest

from contest.numbers import decimal, span


@pytest.mark.parametrize(
    ("value", "shown", "signed"),
    [
        (-2.522257545933826e-06, "0.0000", "0.0000"),
        (-0.0, "0.0000", "0.0000"),
        (4.9e-05, "0.0000", "0.0000"),
        (-5.1e-05, "-0.0001", "-0.0001"),
        (5.1e-05, "0.0001", "+0.0001"),
        (-12.34567, "-12.3457", "-12.3457"),
    ],
)
def test_what_rounds_to_nothing_has_no_sign(value, shown, signed):
    assert (decimal(value, 4), decimal(value, 4, plus=True)) == (shown, signed)


@pytest.mark.parametrize("value", [0.125, 0.375, -0.125, 2.675, 1e9 + 0.005, -3.0])
def test_rounding_is_that_of_decimal_arithmetic(value):
    assert Decimal(decimal(value, 2)) == Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def test_ends_of_an_interval():
    assert span(-1e-9, 0.25, 3) == "0.000 to 0.250"
    assert span(-0.5, 1e-9, 2, plus=True) == "-0.50 to 0.00"
