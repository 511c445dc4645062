"""The pipeline for its operators: who is ready, who is behind, and what became of the events."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastapi import Response

from query_api.dashboard.lag_pictures import LagPicture, picture_of
from query_api.dashboard.operations_api import OperationsApi
from query_api.dashboard.records import Consumer, GroupState, LagCurve
from query_api.dashboard.shell import Shell


@dataclass(frozen=True)
class Group:
    """A consumer group and how far it is behind in all."""

    name: str
    lag: int
    rows: list[Consumer]
    state: GroupState | None = None
    picture: LagPicture | None = None
    """The last hour."""


class PipelinePage:
    """Shows the pipeline."""

    def __init__(self, shell: Shell, operations: OperationsApi) -> None:
        self._shell, self._operations = shell, operations

    async def show(self) -> Response:
        """As it is now, or was two seconds ago."""
        return await self._shell.guarded("/pipeline", self._page)

    async def _page(self) -> Response:
        view, history = await asyncio.gather(self._operations.pipeline(), self._operations.lag_history())
        return self._shell.page("pipeline.html", view=view, groups=groups_of(view.consumers, view.groups, history))


def groups_of(
    consumers: Iterable[Consumer], states: Iterable[GroupState] = (), history: Sequence[LagCurve] = ()
) -> list[Group]:
    """Consumers by group, in the order of their names, so that rows stay where they are."""
    rows: dict[str, list[Consumer]] = {}
    for consumer in sorted(consumers, key=lambda row: (row.group, row.topic, row.partition)):
        rows.setdefault(consumer.group, []).append(consumer)
    by_name = {state.group: state for state in states}
    return [
        Group(name, sum(row.lag for row in own), own, by_name.get(name), picture_of(name, history))
        for name, own in rows.items()
    ]
