import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from app.kit.rules.geo import Boundaries, CoordinateError, boundaries

COUNTIES = boundaries().codes


def test_every_county_of_both_provinces_has_a_polygon() -> None:
    assert sum(code.startswith("61") for code in COUNTIES) == 107
    assert sum(code.startswith("32") for code in COUNTIES) == 95


@given(st.sampled_from(COUNTIES))
def test_an_inner_point_lies_in_its_county_city_and_province(code: str) -> None:
    point = boundaries().inner_point(code)
    assert point is not None
    for area in (code, code[:4], code[:2], code + "001"):
        answer = boundaries().place(*point, area)
        assert (answer.inside, answer.distance_m) == (True, 0)
    assert boundaries().place(*point, code).county_code == code


@given(st.sampled_from(COUNTIES), st.sampled_from(COUNTIES))
def test_a_point_of_another_county_is_outside_with_a_distance(code: str, other: str) -> None:
    point = boundaries().inner_point(other)
    assert point is not None
    answer = boundaries().place(*point, code)
    assert answer.inside is (code == other)
    assert answer.county_code == other
    assert answer.distance_m is not None
    assert (answer.distance_m > 0) is (code != other)


@given(st.floats(20, 50), st.floats(0.001, 1.0))
def test_distance_agrees_with_the_ellipsoid(latitude: float, degrees: float) -> None:
    square = Boundaries({"110101": box(100, latitude - 2, 101, latitude + 2)})
    east = square.place(101 + degrees, latitude, "110101").distance_m
    radius = 6378137.0 / math.sqrt(1 - 0.00669437999014 * math.sin(math.radians(latitude)) ** 2)
    expected = math.radians(degrees) * radius * math.cos(math.radians(latitude))
    assert east == pytest.approx(expected, rel=0.01)


def test_one_degree_north_is_about_111_kilometres() -> None:
    square = Boundaries({"110101": box(100, 34, 101, 35)})
    assert square.place(100.5, 36, "110101").distance_m == pytest.approx(110_950, rel=0.002)


def test_a_division_without_a_polygon_gets_no_verdict() -> None:
    answer = boundaries().place(108.94, 34.34, "110101")
    assert (answer.inside, answer.distance_m, answer.county_code) == (None, None, "610112")
    assert boundaries().inner_point("990001") is None
    assert boundaries().place(108.94, 34.34, "").inside is None


@pytest.mark.parametrize(
    ("longitude", "latitude", "field", "swapped"),
    [
        (34.34, 108.94, "latitude", True),
        (181.0, 34.0, "longitude", False),
        (math.nan, 34.0, "longitude", False),
        (108.0, math.inf, "latitude", False),
        (108.0, 200.0, "latitude", False),
    ],
)
def test_refuses_what_is_no_point(
    longitude: float,
    latitude: float,
    field: str,
    swapped: bool,  # noqa: FBT001 - a case of the table
) -> None:
    with pytest.raises(CoordinateError) as raised:
        boundaries().place(longitude, latitude, "61")
    assert (raised.value.field, raised.value.swapped) == (field, swapped)


def test_refuses_an_invalid_polygon() -> None:
    bow = box(0, 0, 1, 1).exterior.coords
    twisted = type(box(0, 0, 1, 1))([bow[0], bow[2], bow[1], bow[3], bow[0]])
    with pytest.raises(ValueError, match="invalid"):
        Boundaries({"110101": twisted})
