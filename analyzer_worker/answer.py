"""A model's answer: read strictly, then checked against what was sent. Nothing in it is believed."""

import math
import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from analyzer_worker.hygiene import clipped
from analyzer_worker.litellm_adapter import Reply
from analyzer_worker.model_errors import Permanent, Unusable
from analyzer_worker.prompt import SentEvent
from analyzer_worker.verdict import Verdict, worst
from schemas.analysis import Category, Evidence, Severity

MAX_SUMMARY: Final = 600
MAX_ACTION: Final = 300
MAX_ACTIONS: Final = 6
MAX_REASON: Final = 600
MAX_QUOTE: Final = 300
MAX_EVIDENCE: Final = 10
MIN_QUOTE: Final = 3
_MAX_ANSWER: Final = 32_768
_FENCE: Final = re.compile(r"```(?:json)?\s{0,8}(\{.*\})\s{0,8}```", re.DOTALL)
_PLACEHOLDER: Final = re.compile(r"<redacted:\w{1,24}>")


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event and the words of it that a model refers to."""

    id: str
    quote: str


class ModelAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The agreed form; see `prompt.SCHEMA`."""

    category: Category
    severity: Severity
    summary: Annotated[str, Meta(min_length=1)]
    recommended_actions: Annotated[list[str], Meta(min_length=1, max_length=20)]
    confidence: Annotated[float, Meta(ge=0, le=1)]
    evidence: Annotated[list[Claim], Meta(max_length=50)]
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
    answer: ModelAnswer, sent: list[SentEvent], *, floor: Severity, model: str, cost_usd: float
) -> Checked:
    """Keep what the events sent bear out; severity never falls below `floor`.

    Raises:
        Unusable: where nothing is left that speaks for the category, or nothing to do.
    """
    evidence, dropped = _borne_out(answer.evidence, sent)
    if not evidence and answer.category != "other":
        raise Unusable(f"none of the answer's {len(answer.evidence)} quotes is found in the events")
    actions = [text for text in (clipped(action, MAX_ACTION) for action in answer.recommended_actions) if text]
    summary = clipped(answer.summary, MAX_SUMMARY)
    if not actions or not summary or not math.isfinite(answer.confidence):
        raise Unusable("the answer has no summary or no recommended action")
    severity = worst(answer.severity, floor)
    raised = f" Severity raised from {answer.severity} to {severity}, which rules and evidence demand."
    verdict = Verdict(
        category=answer.category,
        severity=severity,
        summary=summary,
        recommended_actions=actions[:MAX_ACTIONS],
        confidence=round(answer.confidence, 2),
        evidence=evidence,
        analyzed_by=model,
        reason=clipped(answer.reason, MAX_REASON) + (raised if severity != answer.severity else ""),
        cost_usd=cost_usd,
    )
    return Checked(verdict, dropped)


def _borne_out(claims: list[Claim], sent: list[SentEvent]) -> tuple[list[Evidence], int]:
    events = {event.id: event for event in sent}
    kept: dict[tuple[str, str], Evidence] = {}
    dropped = 0
    for claim in claims:
        event = events.get(claim.id)
        quote = _verbatim(claim.quote, event) if event else None
        if event and quote:
            kept.setdefault((claim.id, quote), Evidence(event.sample.event_id, quote))
        else:
            dropped += 1
    return list(kept.values())[:MAX_EVIDENCE], dropped


def _verbatim(quote: str, event: SentEvent) -> str | None:
    """The quote as the message itself has it: its longest piece without a placeholder; None where it is forged."""
    if quote not in event.text:
        return None
    pieces = (piece.strip()[:MAX_QUOTE].strip() for piece in _PLACEHOLDER.split(quote))
    original = [piece for piece in pieces if len(piece) >= MIN_QUOTE and piece in event.sample.text]
    return max(original, key=len, default=None)
