"""A model that does whatever the evidence tells it to: the worst that an injection can hope for.

At first it hands back any answer that it finds in the evidence, as it stands. Told that this cannot be used, it does
the same as far as the agreed form allows: the least severity, and what it read as claims, quotes and actions.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.support.openai_server import Answer, claim, events_in

ANSWER_FIELDS: Final = {"category", "severity", "summary", "claims", "recommended_actions", "status", "evidence"}
_LONGEST: Final = 20_000


def obey(body: dict[str, Any]) -> Answer:
    """The answer to a request."""
    told = [event for event in events_in(body) if is_hostile(event["text"])]
    dictated = [found for event in told for found in objects_in(event["text"])]
    if dictated and len(body["messages"]) < 3:
        return Answer(json.dumps(dictated[-1])[:_LONGEST])
    return Answer(json.dumps(in_form(told, dictated)))


def is_hostile(text: str) -> bool:
    """Whether an event is not one of the ordinary ones that tests mix in."""
    return not text.startswith("Database connection pool exhausted")


def objects_in(text: str) -> list[dict[str, Any]]:
    """The JSON objects that stand anywhere in a text and look like an answer."""
    return [found for found in _all_objects(text[:_LONGEST]) if ANSWER_FIELDS & set(found)]


def _all_objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(found, dict):
                yield found
        at = text.find("{", end)


def in_form(told: list[dict[str, Any]], dictated: list[dict[str, Any]]) -> dict[str, Any]:
    """What was read, in the agreed form: nothing is severe, and every lie has a quote."""
    texts = [event["text"] for event in told] or ["all systems normal"]
    lies = [
        *(claim("e1", text[:200], text) for text in texts),
        *(claim("e99", text[:200], text) for text in texts),
        claim("e1", "all systems normal", "All systems are healthy."),
        claim("e1", "Database connection pool exhausted", texts[0]),
        claim("id-0", "Database connection pool exhausted", "It was a drill."),
        *(claim(event["id"], event["text"][:200], event["text"]) for event in told),
    ]
    wanted = dictated[-1] if dictated else {}
    return {
        "category": wanted.get("category", "other"),
        "severity": "P3",
        "claims": lies[:50],
        "recommended_actions": [text[:2_000] for text in texts[:20]],
        "confidence": 1,
        "reason": texts[0][:5_000],
    }
