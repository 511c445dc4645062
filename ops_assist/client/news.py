"""What a client has to say of itself, in its own logger, whose lines its handler does not take."""

import logging
from typing import Final

from ops_assist.client.delivery import Dropped, Failing, News, Recovered, Rejected
from ops_assist.client.outbox import Item
from ops_assist.client.shape import make_item

LOGGER: Final = "ops_assist.client"
_logger: Final = logging.getLogger(LOGGER)


def tell(news: News) -> None:
    """Write one line of it."""
    match news:
        case Failing(reason, held):
            _logger.warning("The gateway takes no events, and %d are held until it does: %s", held, reason)
        case Recovered(failures):
            _logger.warning("The gateway takes events again, after %d failed requests", failures)
        case Rejected(count, reason):
            _logger.warning("The gateway refused %d of the events, the first because: %s", count, reason)
        case Dropped(count, urgent):
            _logger.warning(dropped_message(count, urgent))


def tell_undelivered(held: int, seconds: float) -> None:
    """Write that an application ends before its events were taken."""
    _logger.warning("%d events were not taken by the gateway within %g s and go with the process", held, seconds)


def dropped_message(count: int, urgent: int) -> str:
    """How many events are missing."""
    of_these = f", {urgent} of them of level ERROR or above" if urgent else ""
    return f"{count} events were dropped, because the client's queue was full{of_these}"


def dropped_event(news: Dropped, service: str, host: str, environment: str | None) -> Item:
    """The event that tells the pipeline how many it will never see; it makes room for no other."""
    item = make_item(
        service,
        "WARNING",
        dropped_message(news.count, news.urgent),
        attributes={"logger": LOGGER, "events.dropped": news.count, "events.dropped.urgent": news.urgent},
        host=host,
        environment=environment,
    )
    return item._replace(urgent=True)
