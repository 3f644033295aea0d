"""The tables, divisions and calendar that ship with the product, as rows ready for the database."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from app.kit.rules.datafiles import Mark, day_or_none, mark_of, read_rows
from app.kit.rules.tables import TableRow

_SOURCE_COLUMNS = ("source", "verification")
_OWN_COLUMNS = ("legal_basis", "valid_from", "mark", *_SOURCE_COLUMNS)


@dataclass(frozen=True)
class ShippedTable:
    """One code or rule table of ``app/data/standards.csv`` with its rows."""

    code: str
    name_zh: str
    name_en: str
    version: str
    valid_from: date | None
    legal_basis: str
    rows: tuple[TableRow, ...]

    @property
    def mark(self) -> Mark:
        """The weakest mark of its rows."""
        return max((row.mark for row in self.rows), key=list(Mark).index)


@dataclass(frozen=True)
class ShippedDivision:
    """One validity of a division."""

    code: str
    name: str
    level: str
    parent_code: str | None
    valid_from: date | None
    valid_to: date | None
    successor_codes: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class ShippedPark:
    """A chemical park, with its county only where a source, named, says so."""

    seq: int
    name: str
    province_code: str
    source: str
    county_codes: tuple[str, ...]
    county_source: str


def tables() -> Iterator[ShippedTable]:
    """Yield every table that ships."""
    for entry in read_rows("standards.csv"):
        file, _, listed = entry["file"].partition("#")
        rows = [row for row in read_rows(_path(file)) if not listed or row["list"] == listed]
        yield ShippedTable(
            code=entry["code"],
            name_zh=entry["name_zh"],
            name_en=entry["name_en"],
            version=entry["version"],
            valid_from=day_or_none(entry["valid_from"]),
            legal_basis=entry["legal_basis"],
            rows=tuple(_row(row, number, entry) for number, row in enumerate(rows, 1)),
        )


def divisions() -> Iterator[ShippedDivision]:
    """Yield every division that ships, parents before children."""
    for row in read_rows("regions/divisions.csv"):
        yield ShippedDivision(
            row["code"],
            row["name_zh"],
            row["level"].upper(),
            row["parent_code"] or None,
            day_or_none(row["valid_from"]),
            day_or_none(row["valid_to"]),
            tuple(filter(None, row.get("successor_codes", "").split(";"))),
            row["source"],
        )


def skipped_divisions() -> Mapping[str, int]:
    """Count what the division lists hold but cannot be placed, by level (decision 43)."""
    found: dict[str, int] = {}
    for row in read_rows("regions/divisions_unplaced.csv"):
        level = row["level"].upper()
        found[level] = found.get(level, 0) + 1
    return found


def parks() -> Iterator[ShippedPark]:
    """Yield every chemical park that ships."""
    counties: dict[str, list[dict[str, str]]] = {}
    for row in read_rows("parks/park_counties.csv"):
        counties.setdefault(row["park_seq"], []).append(row)
    for row in read_rows("parks/jiangsu_chemical_parks_2023_batch1.csv"):
        mine = counties.get(row["seq"], [])
        yield ShippedPark(
            int(row["seq"]),
            row["name_zh"],
            row["province_code"],
            row["source"],
            tuple(entry["county_code"] for entry in mine),
            "; ".join(entry["source"] for entry in mine),
        )


def calendar_years() -> Iterator[tuple[int, str, Mark, tuple[dict[str, str], ...]]]:
    """Yield year, source, mark and special days of every year that the calendar knows."""
    days: dict[int, list[dict[str, str]]] = {}
    for row in read_rows("calendar/days.csv"):
        days.setdefault(int(row["day"][:4]), []).append(row)
    for row in read_rows("calendar/years.csv"):
        yield int(row["year"]), row["source"], mark_of(row["mark"]), tuple(days.get(int(row["year"]), ()))


def _path(file: str) -> str:
    return f"{file}.csv" if "/" in file else f"tables/{file}.csv"


def _row(row: Mapping[str, str], number: int, entry: Mapping[str, str]) -> TableRow:
    source = next((row[column] for column in _SOURCE_COLUMNS if column in row), "")
    named = {entry[column] for column in ("row_name_zh", "row_name_en", "row_parent") if entry[column]}
    return TableRow(
        code=_code(row, number, entry["row_code"]),
        name_zh=row[entry["row_name_zh"]],
        name_en=row[entry["row_name_en"]] if entry["row_name_en"] else "",
        parent_code=(row[entry["row_parent"]] or None) if entry["row_parent"] else None,
        attrs={key: value for key, value in row.items() if key not in (*_OWN_COLUMNS, *named, "list", "code")},
        legal_basis=row.get("legal_basis") or _basis(entry),
        valid_from=day_or_none(row.get("valid_from", "")),
        source=source,
        mark=mark_of(row.get("mark") or source),
    )


def _basis(entry: Mapping[str, str]) -> str:
    return "" if entry["legal_basis"].startswith("each row") else entry["legal_basis"]


def _code(row: Mapping[str, str], number: int, spec: str) -> str:
    """Join the columns of the key; ``#`` stands for the row's number."""
    parts = [f"{number:03d}" if part == "#" else row[part] for part in (spec or "#").split("+")]
    return "-".join(parts)
