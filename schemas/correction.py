"""A correction of an analysis made by a person: the record of `ops.analysis-corrections`."""

import msgspec

from schemas.analysis import Category, Severity


class Correction(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person says an incident is; None: as analysed. Of several the one with the greatest `at` counts.

    `at` is in microseconds since the epoch; `change_id` makes a redelivery recognisable.
    """

    change_id: str
    incident_key: str
    actor: str
    at: int
    category: Category | None = None
    severity: Severity | None = None
    note: str | None = None
