"""One run of `send`: read, prepare, pace, hand over, count."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ops_assist.sending.lanes import Lanes
from ops_assist.sending.outgoing import Outgoing, Preparer, UnsendableError
from ops_assist.sending.pace import Pace
from ops_assist.sending.source import Line, Source, open_source
from ops_assist.sending.tally import Tally

Watch = Callable[[Source], None]
"""Told now and then how far a source has been read."""

_LOOK_EVENTS: Final = 500


@dataclass(frozen=True)
class Run:
    """What every event of a run passes through."""

    preparer: Preparer
    pace: Pace
    tally: Tally
    watch: Watch

    async def send(self, names: Sequence[str], lanes: Lanes) -> None:
        """Send every event of the files, in their order; raises what a delivery raises."""
        async with lanes:
            for number, name in enumerate(names, 1):
                with open_source(name) as source:
                    await self._send_source(source, number, lanes)
                    self.watch(source)
            await lanes.finish()

    async def _send_source(self, source: Source, number: int, lanes: Lanes) -> None:
        for line in source.lines():
            self.tally.read += 1
            if self.tally.read % _LOOK_EVENTS == 0:
                self.watch(source)
                await asyncio.sleep(0)  # lanes get their turn even while this one only reads
            event = self._prepare(source, number, line)
            if event is None:
                continue
            if pause := self.pace.pause(event.time):
                await lanes.flush()
                self.watch(source)
                await asyncio.sleep(pause)
            await lanes.put(event)

    def _prepare(self, source: Source, number: int, line: Line) -> Outgoing | None:
        try:
            return self.preparer.prepare(source.name, number, line)
        except UnsendableError as error:
            self.tally.reject(f"{source.name}:{line.number}", str(error))
            return None
