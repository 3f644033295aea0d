"""Whether a point lies in a division, and how far outside (a warning, never a refusal).

Polygons are simplified county boundaries of ``app/data/geo``; distances use a plane that touches the
WGS 84 ellipsoid at the point, good to about 1 % over a few hundred kilometres.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from shapely import STRtree, affinity
from shapely.geometry import Point, shape
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from app.kit.rules.datafiles import read_geojson

_A = 6378137.0
"""WGS 84 semi-major axis, metres."""
_E2 = 0.00669437999014
"""WGS 84 first eccentricity squared."""
COUNTY_DIGITS = 6
_MAX_LONGITUDE = 180.0
_MAX_LATITUDE = 90.0


class CoordinateError(ValueError):
    """A longitude or latitude is no number or out of range.

    Args:
        field: ``longitude`` or ``latitude``.
        swapped: the two would be a point of the Earth if they changed places: a likely slip.
    """

    def __init__(self, field: str, *, swapped: bool = False) -> None:
        super().__init__(f"{field} is out of range")
        self.field = field
        self.swapped = swapped


@dataclass(frozen=True)
class Placement:
    """Where a point lies, seen from the division that was named.

    Args:
        inside: within the division or on its boundary; None when the data have no polygon of it.
        distance_m: metres to the division when outside, 0 when inside, None without a polygon.
        county_code: county whose polygon holds the point; None when none of the data's does.
    """

    inside: bool | None
    distance_m: float | None
    county_code: str | None


class Boundaries:
    """County polygons with a spatial index."""

    def __init__(self, counties: Mapping[str, BaseGeometry]) -> None:
        """Index polygons.

        Args:
            counties: six-digit code to polygon in degrees.

        Raises:
            ValueError: a polygon is invalid.
        """
        for code, polygon in counties.items():
            if not polygon.is_valid:
                raise ValueError(f"the polygon of {code} is invalid")
        self._codes = list(counties)
        self._polygons = dict(counties)
        self._tree = STRtree(list(counties.values()))
        self._cache: dict[str, BaseGeometry] = {}

    def place(self, longitude: float, latitude: float, code: str) -> Placement:
        """Say where a point lies.

        Args:
            longitude: degrees east, WGS 84.
            latitude: degrees north, WGS 84.
            code: division of 2, 4 or 6 digits (longer: its first six, the county).

        Raises:
            CoordinateError: no such point on Earth.
        """
        _check(longitude, latitude)
        point = Point(longitude, latitude)
        county = self._county(point)
        area = self._area(code[:COUNTY_DIGITS])
        if area is None:
            return Placement(None, None, county)
        if area.covers(point):
            return Placement(inside=True, distance_m=0.0, county_code=county)
        return Placement(inside=False, distance_m=_metres(point, area), county_code=county)

    def inner_point(self, code: str) -> tuple[float, float] | None:
        """Return a point that surely lies in a division (longitude, latitude); None without a polygon."""
        area = self._area(code[:COUNTY_DIGITS])
        if area is None:
            return None
        point = area.representative_point()
        return point.x, point.y

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the counties that have a polygon."""
        return tuple(self._codes)

    def _county(self, point: Point) -> str | None:
        hits = sorted(self._codes[int(index)] for index in self._tree.query(point, predicate="intersects"))
        return hits[0] if hits else None

    def _area(self, code: str) -> BaseGeometry | None:
        if code not in self._cache:
            parts = [polygon for key, polygon in self._polygons.items() if key.startswith(code)] if code else []
            if not parts:
                return None
            self._cache[code] = unary_union(parts)
        return self._cache[code]


@cache
def boundaries() -> Boundaries:
    """Return the polygons that ship with the product, read once per process."""
    features = read_geojson("geo/districts.geojson.gz")["features"]
    return Boundaries({feature["properties"]["code"]: shape(feature["geometry"]) for feature in features})


def _check(longitude: float, latitude: float) -> None:
    if not (math.isfinite(longitude) and abs(longitude) <= _MAX_LONGITUDE):
        raise CoordinateError("longitude")
    if not (math.isfinite(latitude) and abs(latitude) <= _MAX_LATITUDE):
        swapped = abs(latitude) <= _MAX_LONGITUDE and abs(longitude) <= _MAX_LATITUDE
        raise CoordinateError("latitude", swapped=swapped)


def _metres(point: Point, area: BaseGeometry) -> float:
    """Distance on the plane that touches the ellipsoid at the point."""
    latitude = math.radians(point.y)
    w = 1 - _E2 * math.sin(latitude) ** 2
    east = math.radians(1) * _A / math.sqrt(w) * math.cos(latitude)
    north = math.radians(1) * _A * (1 - _E2) / w**1.5
    plane = affinity.affine_transform(area, [east, 0, 0, north, -point.x * east, -point.y * north])
    return float(plane.distance(Point(0, 0)))
