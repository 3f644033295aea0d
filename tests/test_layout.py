"""The shape of the repository: what must never come to be."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

from app.registry import SLICES

ROOT = Path(__file__).resolve().parent.parent
TOP = {
    "app", "graphql", "tenants", "infra", "helm", "terraform", "tests",
    "pyproject.toml", "README.md", "anlan", "requirements.lock", "LICENSE", "NOTICE", "CHANGELOG.md", "CONTRIBUTING.md",
}  # fmt: skip
HOSTS = re.compile(r"https?://[^\s\"')]*(?:pypi|pythonhosted|npmjs|debian\.org|maven|golang\.org|crates\.io)")


def tracked() -> list[Path]:
    """Every file of the tree that git would carry."""
    caches = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache", ".hypothesis"}
    skip = {".git", ".venv", ".anlan", *caches}
    return [path for path in ROOT.rglob("*") if path.is_file() and not skip.intersection(path.relative_to(ROOT).parts)]


def test_the_import_graphql_is_graphql_core() -> None:
    assert set(importlib.metadata.packages_distributions()["graphql"]) == {"graphql-core"}


def test_the_folder_graphql_is_no_package() -> None:
    assert list((ROOT / "graphql").rglob("*.py")) == []
    assert not (ROOT / "tests" / "graphql").exists()
    assert not (ROOT / "app" / "graphql").exists()
    assert list((ROOT / "app").rglob("graphql.py")) == []


def test_top_level_is_as_decided() -> None:
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found <= TOP


def test_every_top_folder_has_a_readme() -> None:
    for name in ("app", "graphql", "tenants", "infra", "helm", "terraform", "tests"):
        text = (ROOT / name / "README.md").read_text(encoding="utf-8")
        assert "ow to test" in text or "ow to run" in text, f"{name}/README.md does not say how to test it"
        assert "ay import" in text, f"{name}/README.md does not say what it may import"


def test_registered_slices_are_the_folders() -> None:
    folders = {path.name for path in (ROOT / "app" / "modules").iterdir() if (path / "module.py").exists()}
    assert folders == set(SLICES)


def test_the_lock_names_no_registry_and_has_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    pins = [line for line in lock.splitlines() if re.match(r"^[a-z0-9]", line, re.IGNORECASE)]
    assert len(pins) > 40
    assert all("==" in line for line in pins)
    assert lock.count("--hash=sha256:") >= len(pins)


def test_the_lock_holds_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").lower()
    for requirement in (*project["project"]["dependencies"], *project["dependency-groups"]["dev"]):
        name = re.split(r"[\[<>=;! ]", requirement)[0].lower().replace("_", "-")
        assert re.search(rf"^{re.escape(name)}==", lock, re.MULTILINE), f"{name} is not in requirements.lock"


def test_no_file_names_a_registry_or_a_machine() -> None:
    own = Path(__file__).name
    for path in tracked():
        if path.suffix in {".csv", ".json", ".geojson", ".gz", ".png"} or path.name == own:
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        assert not HOSTS.search(text), f"{path.relative_to(ROOT)} names a registry's host"
        assert "/root/" not in text, f"{path.relative_to(ROOT)} names a machine's path"


def test_text_files_are_as_the_editor_is_told() -> None:
    """What ``.editorconfig`` asks of every file: line feeds, no blanks at the end, a last line that ends."""
    told = (ROOT / ".editorconfig").read_text(encoding="utf-8")
    for line in ("end_of_line = lf", "insert_final_newline = true", "trim_trailing_whitespace = true"):
        assert line in told
    wrong = []
    for path in tracked():
        content = path.read_bytes()
        if path.suffix in {".gz", ".png", ".lock"} or not content:
            continue
        if b"\r" in content or not content.endswith(b"\n") or re.search(rb"[ \t]\n", content):
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []


def test_hooks_are_our_own_verbs() -> None:
    """Hooks that fetch programs from elsewhere would run code that no lock holds."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert "://" not in hooks
    assert set(re.findall(r"repo: (.+)", hooks)) == {"local"}
    assert set(re.findall(r"language: (.+)", hooks)) == {"system"}
    assert re.findall(r"entry: (.+)", hooks) == ["./anlan fix", "./anlan check"]


def test_source_files_stay_readable() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines}"
        for path in tracked()
        if path.suffix == ".py" and not path.match("app/migrations/versions/*")
        and (lines := path.read_text(encoding="utf-8").count("\n")) > 550
    ]  # fmt: skip
    assert long == []
