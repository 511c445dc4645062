"""What each kind of rule costs: events a second through the pure detection, and the size of a service's row.

Usage: python -m benchmarks.kinds [events]

A hundred services send for an hour of event time, a fifth of it errors, with numbers in their messages that templates
mask; a batch is a hundred records of one service. The rules are those of docs/examples, by kind and all at once.
"""

import random
import sys
import time
from pathlib import Path

from schemas.event import Event
from schemas.timestamps import MICROSECONDS
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect
from stream_processor.log_clock import LogClock, Moment, Timeline
from stream_processor.rule_files import load_rules
from stream_processor.rules import RuleSet
from stream_processor.state import new_state, state_rows

_START = 1_700_000_040 * MICROSECONDS
_SERVICES = 100
_BATCH = 100
_ERRORS = 0.2
_WORDS = ("basket", "order", "payment", "refund", "invoice", "parcel", "letter", "voucher")


def rule_sets() -> dict[str, RuleSet]:
    """The example rules of each kind, and all of them."""
    rules = load_rules([Path("docs/examples")])
    kinds = {rule.kind: RuleSet((rule,), rules.allowed_lateness) for rule in reversed(rules.rules)}
    return {**dict(reversed(kinds.items())), "all rules": rules}


def arrivals(service: str, count: int, dice: random.Random) -> list[Arrival]:
    """What a service sends in an hour."""
    step = 3_600 * MICROSECONDS // count
    return [
        Arrival(
            Event(
                f"{service}-{n}",
                service,
                "ERROR" if dice.random() < _ERRORS else "INFO",
                f"request {n} for a {dice.choice(_WORDS)} took {dice.randint(1, 999)} ms",
                _START + n * step,
            ),
            *(n, 0, _START + n * step),
        )
        for n in range(count)
    ]


def play(sent: list[Arrival], rules: RuleSet) -> int:
    """Take in what a service sent; gives the bytes of its rows."""
    state, rows = new_state(sent[0].event.service), dict[bytes, bytes | None]()
    for start in range(0, len(sent), _BATCH):
        batch = sent[start : start + _BATCH]
        moments = [Moment(a.offset, a.received_at - _START, a.received_at) for a in batch]
        detect(state, batch, rules, Decisions(0), Timeline(LogClock(), moments) if rules.has_clock else None)
        rows |= state_rows(state)
    return sum(len(key) + len(row or b"") for key, row in rows.items() if row is not None)


def main(events: int) -> None:
    """Play the same hour into each set of rules and print what it took."""
    dice = random.Random(1)  # noqa: S311 - the same data each time
    sent = [arrivals(f"shop-{n}", events // _SERVICES, dice) for n in range(_SERVICES)]
    for name, rules in rule_sets().items():
        started = time.process_time()
        size = sum(play(mine, rules) for mine in sent)
        rate = events / (time.process_time() - started)
        sys.stdout.write(f"{name:<12}{rate:>10,.0f} events/s {size / _SERVICES:>8,.0f} B a service\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
