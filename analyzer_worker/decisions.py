"""What an incident record calls for: a pure decision."""

from collections.abc import Collection
from typing import Final, Literal

from analyzer_worker.memory import Known
from schemas.incident import Incident

Step = Literal["nothing", "rules", "rules_then_model", "model", "again", "look"]
"""`rules`: publish the rules' analysis and be done; `rules_then_model`: publish it as pending and ask the model;
`model`: the pending analysis is there already, only the model's is missing; `again`: analyse once more, while the
analysis that is there stands; `look`: read its first events, for they may be others than those that were analysed."""

_GROWN: Final = 10
_MOST_SAMPLES: Final = 20


def next_step(incident: Incident, known: Known | None, *, with_model: bool) -> Step:
    """What to do about `incident`, whose newest analysis is `known`.

    An incident is analysed once, however many versions of it come by: again when a person asks, when it has ten times
    the events, or when among its first events there are messages of another kind.
    """
    if not is_read(incident):
        return "nothing"
    if known is None:
        return "rules_then_model" if with_model else "rules"
    if known.status == "pending":
        return "model" if with_model else "rules"
    return _growth(incident, known)


def is_read(incident: Incident) -> bool:
    """Whether anybody reads the incident's analysis, unasked; nobody is told of those of rules on trial."""
    return not incident.merged_into and not incident.shadow and incident.status != "closed"


def _growth(incident: Incident, known: Known) -> Step:
    if not known.event_count:
        return "nothing"
    if incident.event_count >= _GROWN * known.event_count:
        return "again"
    seen = max(known.event_count, known.looked_at)
    return "look" if seen < min(_MOST_SAMPLES, incident.event_count) else "nothing"


def has_new_templates(known: Known, templates: Collection[str]) -> bool:
    """Whether an incident shows templates that its analysis has not seen."""
    return not known.templates.issuperset(templates)
