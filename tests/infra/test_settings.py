"""Settings, secrets, clock."""

import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.clock import Clock
from infra.secrets import Secrets
from infra.settings import SettingsError, load


def test_defaults_are_the_embedded_parts() -> None:
    settings = load({})
    assert settings.env == "development"
    assert settings.db_url is None
    assert settings.public_url == f"http://127.0.0.1:{settings.port}"
    assert settings.embedded


@pytest.mark.parametrize(
    ("host", "url"),
    [("::1", "http://[::1]:9000"), ("localhost", "http://localhost:9000"), ("10.0.0.7", "http://10.0.0.7:9000")],
)
def test_the_public_address_follows_the_host(host: str, url: str) -> None:
    """An IPv6 address stands in brackets (RFC 3986, 3.2.2)."""
    assert load({"ANLAN_HOST": host, "ANLAN_PORT": "9000"}).public_url == url


def test_production_names_each_missing_part() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"ANLAN_ENV": "production", "ANLAN_QUEUE_URL": "redis://127.0.0.1/0"}).require_production_parts()
    assert "ANLAN_DB_URL" in str(caught.value)
    assert "ANLAN_ISSUERS" in str(caught.value)
    assert "ANLAN_QUEUE_URL" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"ANLAN_ENV": "prod"}, {"ANLAN_PORT": "x"}, {"ANLAN_ISSUERS": "{"}])
def test_a_wrong_value_is_named(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        load(wrong)


def test_the_runtime_folder_is_short_whatever_the_state_path(tmp_path: Path) -> None:
    deep = tmp_path / "/".join(["x" * 40] * 5)
    assert len(str(load({"ANLAN_STATE": str(deep)}).runtime_dir)) < 80


def test_secrets_are_private_and_the_first_writer_wins(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(secrets.get("k"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 1
    assert len(seen[0]) >= 40
    mode = stat.S_IMODE((tmp_path / "keys" / "k").stat().st_mode)
    assert mode == 0o600
    assert os.listdir(tmp_path / "keys") == ["k"]  # noqa: PTH208


def test_the_legal_day_ends_at_midnight_in_shanghai() -> None:
    late = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)
    assert str(Clock(source=lambda: late).today()) == "2026-03-02"
    assert str(Clock(source=lambda: late - timedelta(seconds=1)).today()) == "2026-03-01"
    assert str(Clock(offset=timedelta(days=2), source=lambda: late).today()) == "2026-03-04"
