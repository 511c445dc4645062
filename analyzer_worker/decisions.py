"""What an incident record calls for: a pure decision."""

from typing import Literal

from schemas.analysis import AnalysisStatus
from schemas.incident import Incident

Step = Literal["nothing", "rules", "rules_then_model", "model"]
"""`rules`: publish the rules' analysis and be done; `rules_then_model`: publish it as pending and ask the model;
`model`: the pending analysis is there already, only the model's is missing."""


def next_step(incident: Incident, known: AnalysisStatus | None, *, with_model: bool) -> Step:
    """What to do about `incident`, of which an analysis with status `known` was published, or none.

    An incident is analysed once, however many versions of it come by: again only when a person asks.
    """
    if incident.merged_into or incident.status == "closed":
        return "nothing"
    if known is None:
        return "rules_then_model" if with_model else "rules"
    if known == "pending":
        return "model" if with_model else "rules"
    return "nothing"
