"""The slices of the product: the one line per slice, and how they are found."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from app.kit.sheets.ledger import register

SLICES = (
    "standards",
    "members",
    "enterprises",
    "audit",
    "sheets",
    "drafts",
    "feed",
)
"""Names of the folders below ``app/modules`` that serve; a test compares them with the folders."""

_KIT_MODELS = ("tenants.models", "app.kit.models")


def load_models() -> None:
    """Import every mapped class, so that the metadata is complete."""
    for name in _KIT_MODELS:
        import_module(name)
    for part in slice_parts("models"):
        del part


def load_ledgers() -> None:
    """Register every ledger that slices declare for imports and exports in their ``sheets.py``."""
    for part in slice_parts("sheets"):
        register(*part.LEDGERS)


def slice_parts(file: str) -> list[ModuleType]:
    """Import one file of every slice that has it, in the order of ``SLICES``.

    Args:
        file: one of the fixed file names without ``.py`` (``models``, ``jobs``, ``api`` …).
    """
    names = [f"app.modules.{name}.{file}" for name in SLICES]
    return [import_module(name) for name in names if find_spec(name) is not None]
