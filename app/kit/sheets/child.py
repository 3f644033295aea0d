"""Reads a stranger's workbook in a process of its own, with limits of memory and time; run by path, never imported.

First every sheet's XML is walked as a stream: real extent, merged cells, formulas. A file of a few kilobytes can name
the cell XFD1048576, and a reader that trusts it reserves the whole plane. Only then calamine gives the values.

Arguments: file, limits as JSON. Output: JSON lines; the first says what the workbook is, or what is wrong with it.
"""

import datetime as dt
import json
import re
import resource
import sys
import zipfile
from typing import Any
from xml.parsers import expat

import python_calamine

CHUNK = 1 << 16
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_MARKS = 2000
"""Merged ranges, formulas and error values that are named one by one; a file with more is refused."""


class Refused(Exception):  # noqa: N818 - a state of the file
    """The file cannot be read: code and what the message says."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code, self.params = code, params


def place(reference: str) -> tuple[int, int]:
    """Return row and column, from 0, of a reference such as C5."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise Refused("SHEET_BROKEN", detail=f"cell {reference[:20]!r}")
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - 64
    return int(found[2]) - 1, column - 1


class Walk:
    """One walk over a sheet's XML."""

    def __init__(self, limits: dict[str, int]) -> None:
        self.limits = limits
        self.row = self.column = -1
        self.rows = self.columns = self.cells = 0
        self.formulas: list[tuple[int, int]] = []
        self.faulty: list[tuple[int, int]] = []
        self.merged: list[tuple[int, int, int, int]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        kind = name.rpartition(" ")[2]
        if kind == "row":
            self.row = int(attributes["r"]) - 1 if "r" in attributes else self.row + 1
            self.column = -1
        elif kind == "c":
            if "r" in attributes:
                self.row, self.column = place(attributes["r"])
            else:
                self.column += 1
            self.cells += 1
            if attributes.get("t") == "e":
                self.mark(self.faulty, (self.row, self.column), "SHEET_ERROR_VALUES")
        elif kind in ("v", "is", "f"):
            # A styled cell without a value extends nothing: Excel writes thousands of them below the last row.
            self.rows = max(self.rows, self.row + 1)
            self.columns = max(self.columns, self.column + 1)
            if kind == "f":
                self.mark(self.formulas, (self.row, self.column), "SHEET_FORMULAS")
        elif kind == "mergeCell":
            first, _, last = attributes.get("ref", "").partition(":")
            self.mark(self.merged, (*place(first), *place(last or first)), "SHEET_MERGED")
        self.bounded()

    def mark(self, marks: list[Any], where: tuple[int, ...], code: str) -> None:
        if len(marks) == MAX_MARKS:
            raise Refused(code, limit=MAX_MARKS)
        marks.append(where)

    def bounded(self) -> None:
        limits = self.limits
        if self.row + 1 > limits["rows"] and self.rows > limits["rows"]:
            return  # counted to the end, so that the message can say how many there are
        if self.column + 1 > limits["columns"] and self.columns > limits["columns"]:
            raise Refused("SHEET_TOO_WIDE", limit=limits["columns"], found=self.columns)
        if self.cells > limits["cells"]:
            raise Refused("SHEET_TOO_MANY_ROWS", limit=limits["rows"], found=self.rows)


def parse(archive: zipfile.ZipFile, name: str, start: Any, limit: int) -> int:
    """Walk one part; return its length.

    Raises:
        Refused: a document type declaration, broken XML, or longer than the limit.
    """

    def refuse(*_: Any) -> None:
        raise Refused("SHEET_BROKEN", detail="document type declaration")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    size = 0
    try:
        with archive.open(name) as part:
            while chunk := part.read(CHUNK):
                size += len(chunk)
                if size > limit:
                    raise Refused("SHEET_BOMB")
                parser.Parse(chunk, False)  # noqa: FBT003 - expat's own signature
        parser.Parse(b"", True)  # noqa: FBT003
    except (expat.ExpatError, ValueError) as fault:
        raise Refused("SHEET_BROKEN", detail=str(fault)[:120]) from fault
    return size


def parts(archive: zipfile.ZipFile, limit: int) -> list[tuple[str, str, bool]]:
    """Return name, path and visibility of each worksheet."""
    targets: dict[str, str] = {}
    sheets: list[tuple[str, str, bool]] = []

    def relation(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(" ")[2] == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    def sheet(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(" ")[2] == "sheet":
            link = next((value for key, value in attributes.items() if key.endswith(" id")), "")
            sheets.append((attributes.get("name", ""), link, attributes.get("state", "visible") == "visible"))

    names = {name.lower(): name for name in archive.namelist()}
    for path, handler in (("xl/_rels/workbook.xml.rels", relation), ("xl/workbook.xml", sheet)):
        if path not in names:
            raise Refused("SHEET_NOT_EXCEL")
        parse(archive, names[path], handler, limit)
    found = []
    for title, link, visible in sheets:
        target = targets.get(link, "").lstrip("/")
        target = target if target.startswith("xl/") else f"xl/{target}"
        if (actual := names.get(target.lower())) is not None:
            found.append((title, actual, visible))
    return found


def opened(path: str, limits: dict[str, int]) -> zipfile.ZipFile:
    """Open the archive after looking at its directory.

    Raises:
        Refused: no Excel workbook, encrypted, with macros, or bigger inside than a real one.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs a tenth of this process's start
        head = file.read(8)
    if head == _OLE:
        raise Refused("SHEET_OLD_OR_LOCKED")
    if not head.startswith(b"PK\x03\x04"):
        raise Refused("SHEET_NOT_EXCEL")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, OSError) as fault:
        raise Refused("SHEET_BROKEN", detail=str(fault)[:120]) from fault
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(entries) > limits["entries"] or len(set(names)) != len(names):
        raise Refused("SHEET_BOMB")
    if sum(entry.file_size for entry in entries) > limits["unpacked"]:
        raise Refused("SHEET_BOMB")
    if any(entry.flag_bits & 1 for entry in entries):
        raise Refused("SHEET_OLD_OR_LOCKED")
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        raise Refused("SHEET_MACROS")
    return archive


def plain(value: Any) -> Any:
    """Return a cell as JSON: dates and times as ``{"t": kind, "v": text}``, other values as they are."""
    match value:
        case bool() | int() | str():
            return value
        case float():
            return int(value) if value.is_integer() and abs(value) < 2**53 else value
        case dt.datetime():
            return {"t": "datetime", "v": value.isoformat()}
        case dt.date():
            return {"t": "date", "v": value.isoformat()}
        case dt.time():
            return {"t": "time", "v": value.isoformat()}
        case dt.timedelta():
            return {"t": "duration", "v": value.total_seconds()}
    return str(value)


def run(path: str, limits: dict[str, int], wanted: list[str]) -> None:
    """Print the wanted sheet: a line about the workbook, then one per row."""
    archive = opened(path, limits)
    sheets = parts(archive, limits["unpacked"])
    visible = [title for title, _, shown in sheets if shown]
    chosen = next((one for name in wanted for one in sheets if one[0].strip() == name), None)
    if chosen is None and len(visible) == 1:
        chosen = next(one for one in sheets if one[2])
    if chosen is None:
        raise Refused("SHEET_MISSING", wanted=wanted[0], found="、".join(visible)[:200])
    left = limits["unpacked"]
    for name in [name for name in archive.namelist() if name.lower() == "xl/sharedstrings.xml"]:
        left -= parse(archive, name, lambda *_: None, left)
    walk = Walk(limits)
    parse(archive, chosen[1], walk.start, left)
    if walk.rows > limits["rows"]:
        raise Refused("SHEET_TOO_MANY_ROWS", limit=limits["rows"] - limits["head"], found=walk.rows - 1)
    if walk.columns > limits["columns"]:
        raise Refused("SHEET_TOO_WIDE", limit=limits["columns"], found=walk.columns)
    first = {"sheet": chosen[0], "rows": walk.rows, "formulas": walk.formulas, "faulty": walk.faulty}
    first["merged"] = walk.merged
    out = sys.stdout
    out.write(json.dumps(first, ensure_ascii=False) + "\n")
    if walk.rows == 0:
        return
    with python_calamine.CalamineWorkbook.from_path(path) as workbook:
        sheet = workbook.get_sheet_by_name(chosen[0])
        beside = [""] * (sheet.start or (0, 0))[1]  # rows above the first value are given, columns beside it are not
        for row in sheet.iter_rows():
            out.write(json.dumps([*beside, *map(plain, row)], ensure_ascii=False) + "\n")


def main() -> None:
    """Run, and say in the first line why not."""
    limits = json.loads(sys.argv[2])
    memory = limits["memory"]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits["seconds"], limits["seconds"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        run(sys.argv[1], limits, json.loads(sys.argv[3]))
    except Refused as fault:
        sys.stdout.write(json.dumps({"refused": fault.code, "params": fault.params}, ensure_ascii=False))
    except MemoryError:
        sys.stdout.write(json.dumps({"refused": "SHEET_BOMB", "params": {}}))
    except (python_calamine.CalamineError, zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as fault:
        sys.stdout.write(
            json.dumps({"refused": "SHEET_BROKEN", "params": {"detail": str(fault)[:120]}}, ensure_ascii=False)
        )


if __name__ == "__main__":
    main()
