"""Chinese order: a stored sort key by pinyin, equal on every database (no ICU collation).

The key's version is stored nowhere yet: a new dictionary means re-keying by a job.
"""

from functools import lru_cache

VERSION = "pypinyin-0.55"


@lru_cache(maxsize=4096)
def sort_key(name: str) -> str:
    """Return the key that orders ``name`` by pinyin; compare it in collation "C"."""
    from pypinyin import Style, lazy_pinyin  # noqa: PLC0415 - its dictionary takes a moment to load

    return " ".join(lazy_pinyin(name, style=Style.TONE3)) + " " + name
