"""Prometheus' own tool on its configuration and alerts."""

import pytest

from tests.support.prometheus import promtool


@pytest.mark.parametrize("file", ["prometheus.yml", "kubernetes.yml"])
def test_the_configuration_is_valid(file: str) -> None:
    """With the alerts that it names."""
    assert "SUCCESS" in promtool("check", "config", file)


def test_the_alerts_have_no_faults() -> None:
    """No duplicates, no templates that cannot be filled."""
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml")


def test_every_alert_fires_when_it_should_and_not_before() -> None:
    """The cases of alerts.test.yml."""
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yml")
