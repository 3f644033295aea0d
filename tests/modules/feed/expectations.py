"""Whoever may see an object's level reads its events (decision 10); typed by hand."""

from tests.matrix.words import BELOW, OVERSIGHT, OWN, Shown, Type, Value, values

TYPES = {
    "Event": Type(
        "event",
        "event",
        {**OVERSIGHT, "TOWNSHIP": BELOW, "NATIONAL": OWN, "RESCUE_TEAM": OWN, "AGENCY": OWN},
        values("type objectId payload")
        | {
            "position": Shown(lambda row: str(row["position"]), "place in the feed"),
            "objectType": Shown(lambda row: row["type"].partition(".")[0], "first word of the type"),
            "object": Shown(lambda row: f"{row['type'].partition('.')[0]}_{row['object_id']}", "global id"),
            "at": Value("created_at"),
            "node": Shown(None, "the object, if the reader may see it: path feed looks"),
        },
    ),
}

ROOTS = {"events": "feed Event"}

IDS = {"events.object": "*"}
