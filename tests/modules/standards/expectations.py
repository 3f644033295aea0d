"""Code and rule tables are readable by everybody (decision 14); typed by hand."""

from tests.matrix.words import SHARED, Edge, Rows, Type, values

TYPES = {
    "Division": Type(
        "division",
        "division",
        SHARED,
        values("code name level parentCode validFrom validTo successorCodes source"),
    ),
    "StandardTable": Type(
        "standard_table",
        "standardtable",
        SHARED,
        values("code nameZh nameEn") | {"versions": Rows("StandardVersion", "table_id")},
    ),
    "StandardVersion": Type(
        "standard_version",
        "standardversion",
        SHARED,
        values("areaCode version validFrom validTo legalBasis source mark rowCount publishedBy publishedAt")
        | {"table": Edge("StandardTable", "table_id"), "rows": Rows("StandardRow", "version_id")},
    ),
    "StandardRow": Type(
        "standard_row",
        "standardrow",
        SHARED,
        values("position code parentCode nameZh nameEn attrs legalBasis validFrom source mark")
        | {"standardVersion": Edge("StandardVersion", "version_id")},
    ),
}

ROOTS = {
    "divisions": "list Division",
    "division": "by id Division",
    "standardTables": "list StandardTable",
    "standardTable": "by id StandardTable",
    "standardVersion": "by id StandardVersion",
    "standardRows": "list StandardRow",
    "standardInForce": "plain",
    "workingDays": "plain",
    "holidayCalendar": "plain",
    "deadlineCompute": "plain",
    "standardVersionPublish": "changes StandardVersion",
}
