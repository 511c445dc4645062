"""The pipeline for its operators: who is ready, who is behind, and what became of the events."""

from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import Response

from query_api.dashboard.operations_api import OperationsApi
from query_api.dashboard.records import Consumer
from query_api.dashboard.shell import Shell


@dataclass(frozen=True)
class Group:
    """A consumer group and how far it is behind in all."""

    name: str
    lag: int
    rows: list[Consumer]


class PipelinePage:
    """Shows the pipeline."""

    def __init__(self, shell: Shell, operations: OperationsApi) -> None:
        self._shell, self._operations = shell, operations

    async def show(self) -> Response:
        """As it is now, or was two seconds ago."""
        return await self._shell.guarded("/pipeline", self._page)

    async def _page(self) -> Response:
        view = await self._operations.pipeline()
        return self._shell.page("pipeline.html", view=view, groups=groups_of(view.consumers))


def groups_of(consumers: Iterable[Consumer]) -> list[Group]:
    """Consumers by group, in the order of their names, so that rows stay where they are."""
    rows: dict[str, list[Consumer]] = {}
    for consumer in sorted(consumers, key=lambda row: (row.group, row.topic, row.partition)):
        rows.setdefault(consumer.group, []).append(consumer)
    return [Group(name, sum(row.lag for row in own), own) for name, own in rows.items()]
