"""The broker conformance suite: which behaviour is tested against which broker."""

import pytest

from deploy.brokers.embedded import DEFECTS
from tests.support.brokers import APACHE_KAFKA, EMBEDDED

TESTED: set[str] = set()
"""Every behaviour that a test of the suite claims."""


def behaviour(name: str) -> pytest.MarkDecorator:
    """Runs a test against each broker; where the embedded broker is known to fail, a pass is the surprise."""
    TESTED.add(name)
    embedded = [pytest.mark.embedded_broker]
    if reason := DEFECTS.get(name):
        embedded.append(pytest.mark.xfail(strict=True, reason=reason))
    return pytest.mark.parametrize(
        "broker",
        [pytest.param(APACHE_KAFKA, marks=pytest.mark.apache_kafka), pytest.param(EMBEDDED, marks=embedded)],
        indirect=True,
        scope="module",
    )
