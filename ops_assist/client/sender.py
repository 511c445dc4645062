"""A thread that sends what a delivery says, while others put events in and wait for a few instructions at most."""

import threading
import time
from collections.abc import Callable
from random import random
from typing import Final

from ops_assist.client.delivery import Delivery, Dropped, News, Send
from ops_assist.client.news import tell
from ops_assist.client.outbox import Item
from ops_assist.client.stats import Stats
from ops_assist.client.transport import Transport

_NAME: Final = "ops-assist-client"
_LEAVING_SECONDS: Final = 1.0

MakeDelivery = Callable[[], Delivery]
Notice = Callable[[Dropped], Item]
"""Makes the event that tells how many were dropped."""


class Sender:
    """The thread starts with the first event, in each process anew.

    The lock is one that its holder may take again, as a signal handler that logs amid a log call does.
    """

    def __init__(self, make_delivery: MakeDelivery, transport: Transport, notice: Notice) -> None:
        self._make_delivery, self._transport, self._notice = make_delivery, transport, notice
        self._reset()

    def _reset(self) -> None:
        self._delivery = self._make_delivery()
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._ended = False

    def after_fork(self) -> None:
        """In a forked child: what was queued is the parent's to send, and its thread and connection stayed there."""
        self._transport.forget()
        self._reset()

    @property
    def stats(self) -> Stats:
        """The counts so far."""
        with self._changed:
            return self._delivery.stats

    @property
    def is_full(self) -> bool:
        """Whether only an urgent event may still get in."""
        return self._delivery.is_full

    @property
    def is_this_thread(self) -> bool:
        """Whether it is the sender itself that asks."""
        return threading.current_thread() is self._thread

    def drop_unseen(self) -> None:
        """Count an event that the full queue has no room for."""
        with self._changed:
            self._delivery.drop_unseen()

    def offer(self, item: Item) -> bool:
        """Queue an event; False where it was dropped instead."""
        with self._changed:
            if self._ended:
                self._delivery.drop_unseen()
                return False
            was_idle = self._delivery.has_passed(self._delivery.mark)
            queued = self._delivery.offer(item, time.monotonic())
            self._start()
            if was_idle or self._delivery.has_batch:
                self._changed.notify_all()
            return queued

    def _start(self) -> None:
        if self._thread is not None:
            return
        # Named before it starts: a signal handler that logs meanwhile would start a second one.
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter ends and starts no more threads; `drain` will send instead
            self._thread = None

    def _run(self) -> None:
        try:
            with self._changed:
                while not self._ended:
                    self._work(until=None)
        finally:
            self._thread = None
            self._transport.close()

    def _work(self, until: float | None) -> None:
        """One request, or one wait, of no later an end than `until`; the lock is held, and let go while it waits."""
        step = self._delivery.step(time.monotonic())
        if not isinstance(step, Send):
            self._changed.wait(_earlier(step.until, until))
            return
        self._changed.release()
        try:
            answer = self._transport.post(step.items)
        finally:
            self._changed.acquire()
        news = self._delivery.answered(answer, time.monotonic(), random())  # noqa: S311 - it spreads retries
        self._changed.notify_all()
        self._hear(news)

    def _hear(self, news: list[News]) -> None:
        for dropped in news:
            if isinstance(dropped, Dropped):
                self._delivery.offer(self._notice(dropped), time.monotonic())
        self._changed.release()  # whoever writes these lines may take his time
        try:
            for item in news:
                tell(item)
        finally:
            self._changed.acquire()

    def drain(self, timeout: float) -> bool:
        """Wait until the fate of all that is queued now is known, at most `timeout` seconds; whether it is."""
        deadline = time.monotonic() + timeout
        with self._changed:
            mark = self._delivery.mark
            self._delivery.hurry(time.monotonic())
            self._changed.notify_all()
            while not self._delivery.has_passed(mark):
                if time.monotonic() >= deadline or self._ended:
                    return False
                if self._thread is None:
                    self._work(until=deadline)
                else:
                    self._changed.wait(deadline - time.monotonic())
            return True

    def end(self) -> None:
        """End the thread, amid a request if there is one; what is still queued is not sent."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            thread = self._thread
        self._transport.abort()
        if thread is None:
            self._transport.close()
        elif thread is not threading.current_thread():
            thread.join(_LEAVING_SECONDS)


def _earlier(first: float | None, second: float | None) -> float | None:
    """Seconds until the earlier of two moments; None where there is neither."""
    moments = [moment for moment in (first, second) if moment is not None]
    return max(0.0, min(moments) - time.monotonic()) if moments else None
