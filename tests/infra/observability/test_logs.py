"""Structured logs."""

import json
import logging
import sys

from infra.observability.logs import JsonFormatter


def line(**extra: object) -> dict[str, object]:
    record = logging.LogRecord("anlan.test", logging.INFO, __file__, 1, "mutation done", (), None)
    for name, value in extra.items():
        setattr(record, name, value)
    parsed: dict[str, object] = json.loads(JsonFormatter("web").format(record))
    return parsed


def test_a_line_is_json_with_the_known_fields() -> None:
    written = line(request_id="r1", ms=12.5)
    assert written["event"] == "mutation done"
    assert written["process"] == "web"
    assert written["request_id"] == "r1"
    assert written["ms"] == 12.5


def test_unknown_fields_never_reach_the_log() -> None:
    text = json.dumps(line(phone="13800000000", token="eyJhbGciOi", name_of_person="张三"), ensure_ascii=False)
    assert "13800000000" not in text
    assert "eyJhbGciOi" not in text
    assert "张三" not in text


def fault() -> None:
    raise ValueError("Key (phone)=(13800000000)")


def test_an_exception_names_its_kind_and_place_but_not_its_text() -> None:
    try:
        fault()
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "fault", (), sys.exc_info())
    text = JsonFormatter("web").format(record)
    assert json.loads(text)["exception"] == "ValueError"
    assert json.loads(text)["frames"][-1].endswith("fault")
    assert "13800000000" not in text
