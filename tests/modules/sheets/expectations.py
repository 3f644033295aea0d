"""Jobs, imports and exports are one's own (decision 37); what a ledger brings or shows is its slice's; typed by hand."""

from tests.expectations import EVERY_TENANT, Rule
from tests.matrix.words import PERSONAL, Edge, Rows, Type, values

_OF_SYSTEM = dict.fromkeys(("sys_jobs", "sys_retention"), "all")
TABLES = {
    name: Rule(EVERY_TENANT, "own person", system=_OF_SYSTEM) for name in ("import_run", "import_row", "export_run")
}

TYPES = {
    "Job": Type("job", "job", PERSONAL, values("kind state progress total error createdAt startedAt endedAt")),
    "ImportRun": Type(
        "import_run",
        "import_run",
        PERSONAL,
        values("ledger fileName updateExisting state size sha256 total errors created updated kept problems checkedAt")
        | values("endedAt expiresAt createdAt version")
        | {"job": Edge("Job", "job_id"), "rows": Rows("ImportRow", "run_id")},
    ),
    "ImportRow": Type("import_row", "import_row", PERSONAL, values("number key raw state action errors objectId")),
    "ExportRun": Type(
        "export_run",
        "export_run",
        PERSONAL,
        values("ledger filter columns purpose watermark state size sha256 total problems endedAt expiresAt createdAt")
        | values("version")
        | {"job": Edge("Job", "job_id")},
    ),
}

ROOTS = {
    "ledgers": "plain",
    "importRuns": "list ImportRun",
    "importRun": "by id ImportRun",
    "importRows": "list ImportRow",
    "exportRuns": "list ExportRun",
    "exportRun": "by id ExportRun",
    "jobs": "list Job",
    "job": "by id Job",
    "ledgerTemplate": "plain",
    "importStart": "changes ImportRun",
    **{f"import{step}": "changes ImportRun" for step in ("Check", "Confirm", "Cancel", "FailedRows")},
    "exportStart": "changes ExportRun",
    **{f"export{step}": "changes ExportRun" for step in ("Cancel", "Download")},
}

IDS = {
    **{f"import{step}.id": "ImportRun" for step in ("Check", "Confirm", "Cancel", "FailedRows")},
    **{f"export{step}.id": "ExportRun" for step in ("Cancel", "Download")},
}
