"""Which incidents may share one answer of a model, and how an incident refers to another's."""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from analyzer_worker.verdict import Sample, Verdict, worst
from schemas.template import template_fingerprint, template_of


def share_fingerprint(rule: str, samples: Iterable[Sample]) -> int:
    """A signed 64-bit number that is the same for incidents of one rule whose messages have the same templates.

    The service is no part of it: when a shared dependency fails, all who need it log the same.
    """
    templates = sorted({template_of(sample.text) for sample in samples})
    text = "\0".join((rule, *templates))
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little", signed=True)


def templates_of(samples: Iterable[Sample]) -> list[str]:
    """The fingerprints of the samples' templates, for telling later whether they changed."""
    return sorted({f"{template_fingerprint(template_of(sample.text)):016x}" for sample in samples})


def shared_verdict(verdict: Verdict, key: str, service: str, own: Verdict, own_service: str) -> Verdict:
    """Another incident's answer as an incident's own: it says whose it is, quotes nothing and costs nothing.

    Actions that name the other service stay there, so that nobody works on the wrong one.

    Args:
        verdict: the answer.
        key: the incident that it was given for.
        service: that one's service.
        own: what the rules say of this incident; its severity is the floor here too.
        own_service: this one's service.
    """
    is_same = service == own_service
    actions = [text for text in verdict.recommended_actions if is_same or service.casefold() not in text.casefold()]
    return msgspec.structs.replace(
        verdict,
        severity=worst(verdict.severity, own.severity),
        summary=f"Same messages as an incident of {service}: {verdict.summary}",
        recommended_actions=actions or own.recommended_actions,
        evidence=own.evidence,
        reason=f"Shares the analysis of incident {key} of {service}, asked within the hour. {verdict.reason}",
        cost_usd=0.0,
    )
