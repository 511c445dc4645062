"""The same input, undisturbed and disturbed, gives the same incidents; nothing acknowledged is lost.

`make chaos` is the long form: as many seeds as `CHAOS_ROUNDS` says (3) from `CHAOS_SEED` (1) on, with more disturbances
and longer holds. Its table goes to `CHAOS_REPORT` (.state/chaos-report.md). Without `CHAOS_ROUNDS` one round runs.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from deploy.brokers.apache_kafka import ApacheKafka
from deploy.postgres import EmbeddedPostgres
from runtime.published.kinds import KINDS
from schemas.topics import CANARY, INCIDENT_STATUS
from stream_processor.fatal import EXIT_CODE
from tests.chaos.disturbances import AT_STATUS_CHANGES, SESSION_SECONDS, Disturbance, Site, Storm, plan
from tests.chaos.feeding import CHUNKS, Pace, feed
from tests.chaos.outcome import Outcome, differences, outcome
from tests.chaos.published import looked_at
from tests.chaos.rolling import change_workers, restart_in_turn
from tests.chaos.runs import SETTLE_SECONDS, Undisturbed, all_analysed, run_calm, settle
from tests.chaos.status_changes import apply_changes
from tests.chaos.topic_access import records as records_of
from tests.chaos.topic_access import write_again
from tests.chaos.workload import PARTITIONS, Fed, Workload, make_workload, twice
from tests.support.databases import Databases
from tests.support.kafka_cluster import NODES, KafkaCluster
from tests.support.pipeline import Pipeline, running_pipeline
from tests.support.waiting import wait_until

LONG: Final = "CHAOS_ROUNDS" in os.environ
FIRST_SEED: Final = int(os.environ.get("CHAOS_SEED", "1"))
SEEDS: Final = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("CHAOS_ROUNDS", "1")))
REPORT: Final = Path(os.environ.get("CHAOS_REPORT", ".state/chaos-report.md"))

_TWICE: Final = 0.3
_STEP_SECONDS: Final = 0.35 if LONG else 0.2
_HALF_STORM: Final = 11 if LONG else 5
_HEADER: Final = (
    "| seed | disturbances | events | incidents | status changes | differences | seconds |",
    "|---|---|---|---|---|---|---|",
)

Settings = dict[str, str]
_NAMES: Final = {"error-burst", "timeouts", "surge"}
_RULES: Final = Path(__file__).parent / "rules.yaml"
_SETTINGS: Final[Settings] = {
    "RULES": str(_RULES),
    "TOPIC_PARTITIONS": str(PARTITIONS),
    "KAFKA_SESSION_TIMEOUT_MS": str(int(SESSION_SECONDS * 1000)),
}


@pytest.fixture(scope="module")
def calm(broker: ApacheKafka, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline that nothing happens to."""
    with running_pipeline(broker, databases.create(), tmp_path_factory.mktemp("calm"), **_SETTINGS) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def site(broker: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:  # noqa: ARG001 - skips alike
    """A pipeline on three brokers and a PostgreSQL of its own, to be disturbed."""
    state_dir = tmp_path_factory.mktemp("storm")
    cluster, postgres, over = KafkaCluster(state_dir), EmbeddedPostgres(state_dir), threading.Event()
    try:
        cluster.start()
        postgres.start()
        replicated = _SETTINGS | {"TOPIC_REPLICATION_FACTOR": str(NODES)}
        with running_pipeline(cluster, postgres.url, state_dir, **replicated) as pipeline:
            yield Site(pipeline, cluster, postgres, LONG, over)
    finally:
        over.set()
        cluster.kill()
        postgres.stop()


@pytest.fixture(scope="module")
def report() -> Iterator[list[str]]:
    """The lines of the table, printed and, in the long form, written."""
    lines: list[str] = list(_HEADER)
    yield lines
    print("", *lines, sep="\n")  # noqa: T201 - the report


@pytest.mark.apache_kafka
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", SEEDS)
def test_disturbances_change_nothing(calm: Pipeline, site: Site, report: list[str], seed: int) -> None:
    """Same incidents (keys, versions, counts, times, statuses, timelines, links, members), events and letters."""
    workload = make_workload(seed)
    undisturbed = run_calm(calm, workload)
    began = time.monotonic()

    stormy, storm = run_storm(site, workload, undisturbed)

    found = differences(undisturbed.outcome, stormy, workload.junk)
    seconds = round(time.monotonic() - began)
    changes = len(undisturbed.changes[0]) + len(undisturbed.changes[1])
    numbers = (workload.events, len(undisturbed.outcome.incidents), changes, len(found), seconds)
    report.append(f"| {seed} | {described(storm)} | {' | '.join(map(str, numbers))} |")
    if LONG:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text("\n".join([*report, ""]))
    assert {incident["rule"] for incident in undisturbed.outcome.incidents.values()} == _NAMES
    assert len(undisturbed.outcome.events) == workload.events
    assert {code for _, code in storm.revived} <= {EXIT_CODE}, f"ended by themselves: {storm.revived}"
    assert not found, f"{len(found)} differences: " + "\n".join(found[:20])


@pytest.mark.apache_kafka
@pytest.mark.timeout(600)
def test_a_rolling_restart_and_a_change_of_workers_lose_and_double_nothing(calm: Pipeline, site: Site) -> None:
    """Each service in turn ends by SIGTERM with 0 and comes again; then workers join and leave; all under load."""
    workload = make_workload(FIRST_SEED + 10_000, services=40)
    undisturbed = run_calm(calm, workload)

    for records, act, changes in zip(
        workload.halves, (restart_in_turn, change_workers), undisturbed.changes, strict=True
    ):
        act(site.pipeline, records)
        settle(site.pipeline)
        apply_changes(site.pipeline, changes, lambda _: None)
        settle(site.pipeline)

    wait_until(lambda: all_analysed(site.pipeline, workload), timeout=SETTLE_SECONDS, what="an analysis of each")
    found = differences(undisturbed.outcome, outcome(site.pipeline, workload.prefix), workload.junk)
    assert len(undisturbed.outcome.events) == workload.events
    assert not found, f"{len(found)} differences: " + "\n".join(found[:20])


@pytest.mark.apache_kafka
def test_every_record_is_as_published(calm: Pipeline) -> None:
    """The topics that the rounds before have filled, and what people add, against what is published."""
    corrected = calm.http.patch("/api/v1/incidents/1/analysis", json={"severity": "P3", "note": "not so bad"})
    assert corrected.status_code == 200, corrected.text
    assert calm.http.post("/api/v1/incidents/1/analyze").is_success
    calm.command("incidents", "missed", "--service", "checkout", "--at", "2025-03-03T00:00:00Z")
    calm.command("dlq", "drop", "--all", "--yes", "--note", "a test")

    here = [kind for kind in KINDS if kind.topic != CANARY]  # which is off, since outcomes are compared
    assert {kind.name: looked_at(calm, kind) > 0 for kind in here} == {kind.name: True for kind in here}


def run_storm(site: Site, workload: Workload, undisturbed: Undisturbed) -> tuple[Outcome, Storm]:
    chance = random.Random(-workload.seed)
    storm = Storm(site, chance)
    kinds = [*plan(chance), *plan(chance)]
    halves = (kinds[:_HALF_STORM], kinds[_HALF_STORM : 2 * _HALF_STORM])
    try:
        for records, disturbances, changes in zip(workload.halves, halves, undisturbed.changes, strict=True):
            feed_in_storm(site, storm, twice(chance, records, _TWICE), disturbances, chance)
            settle(site.pipeline)
            storm.begin(chance.choice(AT_STATUS_CHANGES))
            apply_changes(site.pipeline, changes, lambda _: site.hold(chance.uniform(0, 0.2)))
            again = [change for change in records_of(site.pipeline, INCIDENT_STATUS) if chance.random() < _TWICE]
            write_again(site.pipeline, again)
            storm.pass_by()
            settle(site.pipeline)
    finally:
        storm.end()
    wait_until(lambda: all_analysed(site.pipeline, workload), timeout=SETTLE_SECONDS, what="all analysed in the storm")
    return outcome(site.pipeline, workload.prefix), storm


def feed_in_storm(
    site: Site, storm: Storm, records: list[Fed], disturbances: list[Disturbance], chance: random.Random
) -> None:
    """Feed step by step; each disturbance begins at a step of its own, and the steps do not wait for its end."""
    begin_at = dict(zip(sorted(chance.sample(range(1, CHUNKS - 5), len(disturbances))), disturbances, strict=True))
    pace = Pace()
    with ThreadPoolExecutor(1) as threads:
        feeder = threads.submit(feed, site.pipeline, records, pace)
        for step in range(CHUNKS):
            pace.release(step + 1)
            site.hold(chance.expovariate(1 / _STEP_SECONDS))
            if step in begin_at:
                storm.begin(begin_at[step])
        feeder.result()
    storm.pass_by()


def described(storm: Storm) -> str:
    """What was done, and what gave up by itself and was started again."""
    done = [f"{name} x{count}" if count > 1 else name for name, count in Counter(storm.done).items()]
    ended = [f"{service} ended with {code}" for service, code in storm.revived]
    return f"{len(storm.done)}: {', '.join([*done, *ended])}"
