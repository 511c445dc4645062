"""Dead letters: what they tell, which are meant, and what a retry of one sends."""

from collections.abc import Sequence

import msgspec
import pytest

from ops_assist.dead_letters.letters import Letter, Wanted, letter_of
from ops_assist.dead_letters.mending import MOST_RETRIES, Refused, mended
from schemas.codec import Place, decode_events
from schemas.event import Event
from schemas.letter_decision import LetterDecision
from schemas.placement import home_partition
from schemas.topics import EVENTS, EVENTS_DLQ, EVENTS_LATE, Header
from stream_processor.outgoing import Outgoing
from stream_processor.sorting import sort_records
from tests.support.memory_log import LogRecord

PARTITIONS = 3
GOOD = b'{"service":"checkout","level":"ERROR","message":"x"}'


def letters(value: bytes, offset: int = 7, at: int = 0) -> list[Letter]:
    """What the processor makes of a record that it cannot take in, read back at offsets from `at` on."""
    record = LogRecord(offset, value, headers=[("trace", b"abc")])
    dead = [one.letter for one in sort_records([record], PARTITIONS).dead]
    return [
        letter_of(LogRecord(at + n, one.value, one.partition, one.topic, key=one.key, headers=one.headers), None)
        for n, one in enumerate(dead)
    ]


def events_of(records: list[Outgoing] | Refused) -> list[Event]:
    """The events of the records of a retry, as the processor will read them."""
    assert not isinstance(records, Refused), records.why
    found: list[Event] = []
    for number, record in enumerate(records):
        for _, event in decode_events(
            record.value, Place(record.topic, record.partition, 900 + number, 1_800_000_000_000_000)
        ):
            assert isinstance(event, Event)
            found.append(event)
    return found


def test_a_letter_tells_why_and_where_it_came_from() -> None:
    """Reason, origin and the record's own headers survive the way through the topic."""
    (letter,) = letters(b"junk")
    assert (letter.reason, letter.came_from, letter.status) == ("unreadable", f"{EVENTS}/0/7", "open")
    assert letter.headers == (("trace", b"abc"),)


def test_a_letter_of_somebody_else_is_read_too() -> None:
    """No headers, or nonsense in them, is no reason to fail."""
    record = LogRecord(1, None, 0, EVENTS_DLQ, headers=[(Header.OFFSET, b"x" * 50), (Header.RETRIES, b"\xff")])
    letter = letter_of(record, None)
    assert (letter.reason, letter.came_from, letter.retries) == ("", "?", 0)


def test_what_still_cannot_be_read_is_not_sent() -> None:
    """It would come back at once."""
    (letter,) = letters(b"junk")
    refused = mended(letter, PARTITIONS)
    assert isinstance(refused, Refused)
    assert "still unreadable: not JSON" in refused.why


def test_a_corrected_value_goes_to_its_home_with_the_headers_and_a_count() -> None:
    """The operator's value takes the place of the broken one."""
    (letter,) = letters(b"junk")
    records = mended(letter, PARTITIONS, GOOD)
    assert not isinstance(records, Refused)
    (record,) = records
    assert (record.topic, record.partition) == (EVENTS, home_partition("checkout", PARTITIONS))
    assert record.key == b"checkout"
    assert list(record.headers) == [("trace", b"abc"), (Header.RETRIES, b"1")]


def test_a_retry_that_is_repeated_sends_the_same_ids() -> None:
    """Also from a second letter of the same record, which a crash of the processor may have left."""
    (once,), (twin,) = letters(b"junk"), letters(b"junk", at=5)
    ids = [[event.id for event in events_of(mended(letter, PARTITIONS, GOOD))] for letter in (once, once, twin)]
    assert ids[0] == ids[1] == ids[2]


def test_letters_of_one_array_get_ids_of_their_own() -> None:
    """None is taken for another, nor for one of the events of the array that were good."""
    several = letters(b"[" + GOOD + b',{"level":"x"},{"level":"y"}]')
    ids = {event.id for letter in several for event in events_of(mended(letter, PARTITIONS, GOOD))}
    (good,) = sort_records([LogRecord(7, GOOD)], 1).here["checkout"]
    assert len(ids | {good.event.id}) == 3


def test_an_id_of_its_own_is_kept() -> None:
    """It is how a producer's own retry is recognised."""
    (letter,) = letters(b"junk")
    (event,) = events_of(mended(letter, PARTITIONS, GOOD[:-1] + b',"id":"mine"}'))
    assert event.id == "mine"


def test_a_retried_record_that_breaks_again_carries_its_count_until_it_is_enough() -> None:
    """So nothing goes round for ever."""
    headers: Sequence[tuple[str, bytes]] = [(Header.RETRIES, str(MOST_RETRIES).encode())]
    (dead,) = sort_records([LogRecord(9, b"junk", headers=headers)], PARTITIONS).dead
    letter = letter_of(LogRecord(0, dead.letter.value, 0, EVENTS_DLQ, headers=dead.letter.headers), None)
    assert letter.retries == MOST_RETRIES
    assert mended(letter, PARTITIONS, GOOD) == Refused("it came back 5 times")


def test_late_events_are_not_sent_again() -> None:
    """They would be late again."""
    (letter,) = letters(b"junk")
    assert isinstance(mended(msgspec.structs.replace(letter, topic=EVENTS_LATE), PARTITIONS, GOOD), Refused)


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Wanted(), True),
        (Wanted(reason="unreadable"), True),
        (Wanted(reason="invalid"), False),
        (Wanted(service="other"), False),
    ],
)
def test_open_letters_are_chosen_by_reason_and_service(
    wanted: Wanted,
    taken: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """What is not asked for takes all."""
    (letter,) = letters(b"junk")
    assert wanted.takes(letter) is taken


def test_what_was_dealt_with_is_open_work_no_more() -> None:
    """It is shown only to those who ask for it."""
    (letter,) = letters(b"junk")
    done = msgspec.structs.replace(letter, decision=LetterDecision(EVENTS_DLQ, 0, 0, "dropped", "me", 1))
    assert done.status == "dropped"
    assert not Wanted().takes(done)
    assert Wanted(decided=True).takes(done)
