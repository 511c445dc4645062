"""Which errors mean that PostgreSQL is away, to be tried again, and which that a statement is wrong."""

import asyncpg
import pytest

from query_api.database import DRIVER_ERRORS, is_away


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (asyncpg.CannotConnectNowError("starting up"), True),
        (asyncpg.AdminShutdownError("shutting down"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"), True),
        (asyncpg.UniqueViolationError("twice"), False),
        (asyncpg.DataError("no number"), False),
    ],
    ids=repr,
)
def test_an_error_of_the_driver_is_told(error: Exception, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """Every one is caught; those of a broken connection are tried again on a new one."""
    assert isinstance(error, DRIVER_ERRORS)
    assert is_away(error) is expected
