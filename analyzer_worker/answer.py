"""A model's answer: read strictly, then checked against what was sent. Nothing in it is believed."""

import math
import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from analyzer_worker.evidence.facts import SentEvent
from analyzer_worker.hygiene import clipped, original_of
from analyzer_worker.litellm_adapter import Reply
from analyzer_worker.model_errors import Permanent, Unusable
from analyzer_worker.prompt import INCONCLUSIVE
from analyzer_worker.verdict import Verdict, worst
from schemas.analysis import Category, Evidence, Severity

MAX_SUMMARY: Final = 600
MAX_CLAIM: Final = 400
SUMMARY_CLAIMS: Final = 2
MAX_ACTION: Final = 300
MAX_ACTIONS: Final = 6
MAX_REASON: Final = 600
MAX_QUOTE: Final = 300
MAX_EVIDENCE: Final = 10
MIN_QUOTE: Final = 3
INCONCLUSIVE_MARK: Final = "Inconclusive:"
"""How a summary begins where the model could not tell; the category is then `other`, the list being closed."""
LEAST_SURE: Final = 0.1
LOOK_YOURSELF: Final = "Read the newest events of the service and look for a change just before the first of them."
_MAX_ANSWER: Final = 32_768
_FENCE: Final = re.compile(r"```(?:json)?\s{0,8}(\{.*\})\s{0,8}```", re.DOTALL)
_PLACEHOLDER: Final = re.compile(r"<redacted:\w{1,24}>")


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence, and the event and the words of it that bear it out."""

    claim: str
    id: str
    quote: str


class ModelAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The agreed form; see `prompt.SCHEMA`."""

    category: Category | Literal["inconclusive"]
    severity: Severity
    claims: Annotated[list[Claim], Meta(max_length=50)]
    recommended_actions: Annotated[list[str], Meta(max_length=20)]
    confidence: Annotated[float, Meta(ge=0, le=1)]
    reason: str


_decode: Final = msgspec.json.Decoder(ModelAnswer).decode


def parse_answer(reply: Reply) -> ModelAnswer:
    """Read an answer in the agreed form.

    Raises:
        Permanent: where the provider withheld the answer.
        Unusable: where it was cut short, or is not in the agreed form.
    """
    if reply.finish_reason == "content_filter":
        raise Permanent("the model's provider withheld the answer")
    if reply.finish_reason == "length":
        raise Unusable("the answer was cut short at the greatest length allowed; it must be shorter")
    text = reply.text.strip()[:_MAX_ANSWER]
    if fenced := _FENCE.fullmatch(text):
        text = fenced[1]
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Unusable(f"the answer is not in the agreed form: {clipped(str(error), 200)}") from error


class Checked(msgspec.Struct, frozen=True):
    """A verdict that holds only what was borne out, and how many claims were not."""

    verdict: Verdict
    dropped: int


def check_answer(
    answer: ModelAnswer, sent: Sequence[SentEvent], *, floor: Severity, model: str, cost_usd: float
) -> Checked:
    """Keep what the events sent bear out; severity never falls below `floor`.

    Raises:
        Unusable: where no claim is left, unless the answer is that the evidence does not tell; or nothing to do.
    """
    supported, dropped = _borne_out(answer.claims, sent)
    inconclusive = answer.category == INCONCLUSIVE
    if not supported and not inconclusive:
        raise Unusable(f"none of the answer's {len(answer.claims)} claims has a quote that is found in its event")
    actions = [text for text in (clipped(action, MAX_ACTION) for action in answer.recommended_actions) if text]
    if not (actions or inconclusive) or not math.isfinite(answer.confidence):
        raise Unusable("the answer has no recommended action")
    severity = worst(answer.severity, floor)
    verdict = Verdict(
        category="other" if answer.category == "inconclusive" else answer.category,
        severity=severity,
        summary=_summary(list(supported), inconclusive=inconclusive),
        recommended_actions=actions[:MAX_ACTIONS] or [LOOK_YOURSELF],
        confidence=min(round(answer.confidence, 2), LEAST_SURE) if inconclusive else round(answer.confidence, 2),
        evidence=list(dict.fromkeys(supported.values()))[:MAX_EVIDENCE],
        analyzed_by=model,
        reason=_reason(answer, severity),
        cost_usd=cost_usd,
    )
    return Checked(verdict, dropped)


def _summary(claims: Sequence[str], *, inconclusive: bool) -> str:
    """The first two claims that were borne out; nothing else of the answer is stated as a fact."""
    text = " ".join(claims[:SUMMARY_CLAIMS])
    if inconclusive:
        text = (
            f"{INCONCLUSIVE_MARK} {text}" if text else f"{INCONCLUSIVE_MARK} the events do not tell what causes them."
        )
    return clipped(text, MAX_SUMMARY)


def _reason(answer: ModelAnswer, severity: Severity) -> str:
    """The model's own words, said to be that, and what was done against them."""
    parts = []
    if said := clipped(answer.reason, MAX_REASON):
        parts.append(f"In the model's words, which nothing checks: {said}")
    if severity != answer.severity:
        parts.append(f"Severity raised from {answer.severity} to {severity}, which rules and evidence demand.")
    return " ".join(parts) or "The model gave no reason."


def _borne_out(claims: Sequence[Claim], sent: Sequence[SentEvent]) -> tuple[dict[str, Evidence], int]:
    """The claims whose quote stands in the event that they name, each with that quote; and how many have none."""
    events = {event.id: event for event in sent}
    kept: dict[str, Evidence] = {}
    dropped = 0
    for claim in claims:
        event = events.get(claim.id)
        quote = _verbatim(claim.quote, event) if event else None
        statement = clipped(claim.claim, MAX_CLAIM)
        if event and quote and statement:
            kept.setdefault(statement, Evidence(event.sample.event_id, quote))
        else:
            dropped += 1
    return kept, dropped


def _verbatim(quote: str, event: SentEvent) -> str | None:
    """The quote as the message itself has it: its longest piece without a placeholder; None where it is forged.

    What was sent has spaces for line breaks and no unseen characters; the message's own are given back.
    """
    if quote not in event.text:
        return None
    pieces = (piece.strip()[:MAX_QUOTE].strip() for piece in _PLACEHOLDER.split(quote))
    original = [original_of(piece, event.sample.text) for piece in pieces if len(piece) >= MIN_QUOTE]
    return max((piece for piece in original if piece), key=len, default=None)
