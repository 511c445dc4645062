"""`ops-assist dlq`."""

import asyncio
import getpass
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from ops_assist.dead_letters import letters as letter_views
from ops_assist.dead_letters.desk import carry_out, partition_count, read_letters
from ops_assist.dead_letters.letters import Letter, Wanted
from ops_assist.dead_letters.mending import Refused, mended
from ops_assist.errors import CommandError
from ops_assist.options import BootstrapServers
from ops_assist.output import print_fields, print_json, print_table, safe
from ops_assist.progress import progress_of
from ops_assist.running import kafka_settings
from runtime.settings import Settings, load_settings
from schemas.letter_decision import LetterDecision
from schemas.timestamps import now_micros, to_rfc3339
from schemas.topics import EVENTS, EVENTS_DLQ, EVENTS_LATE
from stream_processor.backtest.topic_range import Bound, InvalidBound, Range, parse_bound
from stream_processor.outgoing import Outgoing

_SHOWN_CHARACTERS: Final = 80
_MOST_AT_ONCE: Final = 50_000
"""Letters that one call holds in memory; a call that meets more says so, and is made again."""
_MOST_BYTES: Final = 256 * 1024 * 1024
_LATE: Final = (
    "late events would be late again: look at what rules make of them with `ops-assist backtest --topic"
    f" {EVENTS_LATE}`, raise ALLOWED_LATENESS if they are no exception, and `ops-assist dlq drop --topic late` them"
)

Topic = Annotated[Literal["dlq", "late"], typer.Option("--topic", help="Dead letters, or events that came too late.")]
Reason = Annotated[str, typer.Option(help="Only those of this reason.")]
Service = Annotated[str, typer.Option(help="Only those of this service.")]
Since = Annotated[str, typer.Option(help="From this time on, as 2026-11-20T09:00:00Z.")]
Until = Annotated[str, typer.Option(help="Up to this time.")]
Places = Annotated[list[str] | None, typer.Argument(help="PARTITION/OFFSET, as `dlq list` shows them.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Everything = Annotated[bool, typer.Option("--all", help="All that are open, or all that the options leave.")]
Actor = Annotated[str, typer.Option(help="Who does it; default: your user name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def root() -> None:
    """Work the records that could not be read, and the events that came too late."""


@app.command("list")
def list_letters(
    *,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000, help="How many, from the newest.")] = 20,
    topic: Topic = "dlq",
    reason: Reason = "",
    service: Service = "",
    since: Since = "",
    until: Until = "",
    decided: Annotated[bool, typer.Option("--decided", help="Retried and dropped ones too.")] = False,
    bootstrap_servers: BootstrapServers = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with whole values.")] = False,
) -> None:
    """List the last open letters, newest first: place, reason, origin (topic/partition/offset) and value."""
    newest: list[tuple[tuple[int, int, int], Letter]] = []

    def keep(letter: Letter) -> None:
        entry = ((letter.timestamp, letter.partition, letter.offset), letter)
        (heapq.heappush if len(newest) < count else heapq.heappushpop)(newest, entry)

    wanted = Wanted(reason, service, decided=decided)
    _Reading(bootstrap_servers, topic, since, until).run(wanted, keep)
    letters = [letter for _, letter in sorted(newest, key=lambda entry: entry[0], reverse=True)]
    if as_json:
        print_json([letter_views.as_json(letter) for letter in letters])
        return
    columns = ("place", "time", "status", "reason", "service", "detail", "origin", "value")
    print_table(columns, (_row(letter) for letter in letters))
    typer.echo(f"{len(letters)} {_what(topic)} shown")


@app.command("counts")
def counts(
    *,
    topic: Topic = "dlq",
    service: Service = "",
    since: Since = "",
    until: Until = "",
    bootstrap_servers: BootstrapServers = "",
    as_json: AsJson = False,
) -> None:
    """Count letters by reason and by what was done with them."""
    found: Counter[tuple[str, str]] = Counter()

    def count(letter: Letter) -> None:
        found[letter.reason, letter.status] += 1

    _Reading(bootstrap_servers, topic, since, until).run(Wanted(service=service, decided=True), count)
    rows = [
        (reason, *(found[reason, status] for status in ("open", "retried", "dropped")))
        for reason in sorted({reason for reason, _ in found})
    ]
    if as_json:
        print_json([dict(zip(("reason", "open", "retried", "dropped"), row, strict=True)) for row in rows])
        return
    print_table(("reason", "#open", "#retried", "#dropped"), rows)


@app.command("show")
def show(
    place: Annotated[str, typer.Argument(help="PARTITION/OFFSET, as `dlq list` shows it.")],
    *,
    topic: Topic = "dlq",
    bootstrap_servers: BootstrapServers = "",
    as_json: AsJson = False,
) -> None:
    """Show one letter whole."""
    (letter,) = _Reading(bootstrap_servers, topic).at([place], decided=True)
    told = letter_views.as_json(letter)
    if as_json:
        print_json(told)
        return
    headers, value, decision = told.pop("headers"), told.pop("value"), told.pop("decision")
    print_fields(told.items())
    print_fields((f"header {name}", text) for name, text in headers.items())
    if decision is not None:
        said = f"{decision.action} by {decision.actor} at {to_rfc3339(decision.at)} {decision.note}"
        print_fields([("decision", said)])
    print_fields([("value", value)])


@app.command("retry")
def retry(
    places: Places = None,
    *,
    every: Everything = False,
    reason: Reason = "",
    service: Service = "",
    since: Since = "",
    until: Until = "",
    topic: Topic = "dlq",
    value: Annotated[
        Path | None, typer.Option(help="A file with a corrected value for the one letter; - is standard input.")
    ] = None,
    actor: Actor = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    bootstrap_servers: BootstrapServers = "",
    as_json: AsJson = False,
) -> None:
    """Send letters to ops.events again, each once it can be read; those that still cannot stay open."""
    if topic == "late":
        raise CommandError(_LATE)
    if value is not None and len(places or ()) != 1:
        raise typer.BadParameter("--value takes the place of one letter")
    reading = _Reading(bootstrap_servers, topic, since, until)
    letters = reading.chosen(places or [], every=every, wanted=Wanted(reason, service))
    corrected = None if value is None else _read_value(value)
    partitions = asyncio.run(partition_count(reading.settings, EVENTS))
    work: list[tuple[LetterDecision, Sequence[Outgoing]]] = []
    refused: Counter[str] = Counter()
    for letter in letters:
        records = mended(letter, partitions, corrected)
        if isinstance(records, Refused):
            refused[records.why] += 1
        else:
            note = "" if corrected is None else "with a corrected value"
            work.append((_decision(letter, "retried", actor, note), records))
    _do(reading.settings, work, "retry", dry_run=dry_run, yes=yes or bool(places))
    _tell(len(work), refused, "retried", dry_run=dry_run, as_json=as_json)
    if refused and not work:
        raise CommandError(f"nothing can be sent: {safe(refused.most_common(1)[0][0])}")


@app.command("drop")
def drop(
    places: Places = None,
    *,
    note: Annotated[str, typer.Option(help="Why: it is kept with the decision.")],
    every: Everything = False,
    reason: Reason = "",
    service: Service = "",
    since: Since = "",
    until: Until = "",
    topic: Topic = "dlq",
    actor: Actor = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    bootstrap_servers: BootstrapServers = "",
    as_json: AsJson = False,
) -> None:
    """Take letters off the list of open work; the records stay in the topic until its retention ends."""
    reading = _Reading(bootstrap_servers, topic, since, until)
    letters = reading.chosen(places or [], every=every, wanted=Wanted(reason, service))
    work: list[tuple[LetterDecision, Sequence[Outgoing]]] = [
        (_decision(letter, "dropped", actor, note), ()) for letter in letters
    ]
    _do(reading.settings, work, "drop", dry_run=dry_run, yes=yes or bool(places))
    _tell(len(work), Counter(), "dropped", dry_run=dry_run, as_json=as_json)


class _Reading:
    """What one call reads."""

    def __init__(self, bootstrap_servers: str, topic: str, since: str = "", until: str = "") -> None:
        self.settings: Settings = kafka_settings(load_settings(), bootstrap_servers)
        self.topic = EVENTS_LATE if topic == "late" else EVENTS_DLQ
        self._since, self._until = _bound(since, "--since"), _bound(until, "--until")

    def run(self, wanted: Wanted, take: Callable[[Letter], None]) -> None:
        def take_wanted(letter: Letter) -> None:
            if wanted.takes(letter):
                take(letter)

        asyncio.run(read_letters(self.settings, self.topic, self._since, self._until, take_wanted))

    def chosen(self, places: Sequence[str], *, every: bool, wanted: Wanted) -> list[Letter]:
        """The open letters that a call means."""
        if places:
            return self.at(places)
        if not every and wanted == Wanted() and self._since is None and self._until is None:
            raise typer.BadParameter("say which: PARTITION/OFFSET, --reason, --service, --since, --until or --all")
        found = _Some()
        self.run(wanted, found.keep)
        if found.left:
            some = len(found.letters)
            typer.echo(f"the first {some:,} of {some + found.left:,}: call again for the rest", err=True)
        return found.letters

    def at(self, places: Sequence[str], *, decided: bool = False) -> list[Letter]:
        """The letters at these places, in their order; only their records are read."""
        found: dict[str, Letter] = {}
        asyncio.run(
            read_letters(
                self.settings,
                self.topic,
                None,
                None,
                lambda letter: found.update({letter.place: letter}),
                only=[_range(place) for place in places],
            )
        )
        for place in places:
            if place not in found:
                raise CommandError(f"no record at {self.topic}/{place}: `ops-assist dlq list` shows places")
            if not decided and (decision := found[place].decision):
                raise CommandError(f"{place} was {decision.action} by {safe(decision.actor)} already")
        return [found[place] for place in dict.fromkeys(places)]


class _Some:
    """As many letters as one call holds; `left` counts the others."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.left = 0
        self._held = 0

    def keep(self, letter: Letter) -> None:
        if len(self.letters) >= _MOST_AT_ONCE or self._held >= _MOST_BYTES:
            self.left += 1
            return
        self.letters.append(letter)
        self._held += len(letter.value or b"")


def _range(place: str) -> Range:
    partition, _, offset = place.partition("/")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise typer.BadParameter(f"{safe(place)!r} is no place: takes PARTITION/OFFSET, as 2/17")
    return Range(int(partition), int(offset), int(offset) + 1)


def _bound(text: str, option: str) -> Bound | None:
    try:
        return parse_bound(text) if text else None
    except InvalidBound as error:
        raise typer.BadParameter(f"{option}: {error}") from error


def _read_value(path: Path) -> bytes:
    try:
        return typer.get_binary_stream("stdin").read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def _decision(letter: Letter, action: Literal["retried", "dropped"], actor: str, note: str) -> LetterDecision:
    by = actor or getpass.getuser()
    return LetterDecision(letter.topic, letter.partition, letter.offset, action, by, now_micros(), note)


def _do(
    settings: Settings,
    work: Sequence[tuple[LetterDecision, Sequence[Outgoing]]],
    what: str,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    if dry_run or not work:
        return
    if not yes:
        typer.confirm(f"{what} {len(work):,} records?", abort=True, err=True)
    with progress_of(what, len(work)) as advance:
        asyncio.run(carry_out(settings, work, advance))


def _tell(done: int, refused: Counter[str], word: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({word: done, "left_open": refused.total(), "why": dict(refused), "dry_run": dry_run})
        return
    typer.echo(f"{done:,} {'would be ' if dry_run else ''}{word}, {refused.total():,} left open")
    for why, count in refused.most_common(10):
        typer.echo(f"  {count:,}: {safe(why)}")


def _row(letter: Letter) -> tuple[str, ...]:
    value = (letter.value or b"")[: 4 * _SHOWN_CHARACTERS].decode(errors="replace")[:_SHOWN_CHARACTERS]
    return (
        letter.place,
        to_rfc3339(letter.timestamp),
        letter.status,
        letter.reason,
        letter.service,
        letter.detail,
        letter.came_from,
        value,
    )


def _what(topic: str) -> str:
    return "late events" if topic == "late" else "dead letters"
