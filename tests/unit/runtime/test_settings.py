"""Settings: read from the environment, checked at start, and clear about what is wrong."""

import pytest
from pydantic import SecretStr, ValidationError

from runtime.settings import Settings, SettingsError, load_settings


def _load(**overrides: object) -> Settings:
    return load_settings(_env_file=None, **overrides)


def test_the_environment_sets_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the field's name in capitals."""
    monkeypatch.setenv("INCIDENT_THRESHOLD", "7")
    monkeypatch.setenv("INCIDENT_TIME_WINDOW", "60")
    monkeypatch.setenv("ENVIRONMENT", "staging")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    settings = _load()
    assert (settings.incident_threshold, settings.incident_time_window) == (7, 60)
    assert (settings.environment, settings.log_level) == ("staging", "DEBUG")


def test_an_override_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests and `up` set what they must."""
    monkeypatch.setenv("HTTP_PORT", "9000")
    assert _load(http_port=9_001).http_port == 9_001


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "0"),
        ("HTTP_PORT", "70000"),
        ("HTTP_PORT", "many"),
        ("LOG_LEVEL", "LOUD"),
        ("BROKER", "rabbit"),
        ("INCIDENT_THRESHOLD", "0"),
        ("INCIDENT_TIME_WINDOW", "-1"),
        ("PUBLISH_TIMEOUT", "0"),
        ("INGEST_BUFFER_BYTES", "1"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Not with a stack trace."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: ") as refused:
        _load()
    assert "\n" not in str(refused.value)


def test_every_wrong_setting_is_named_at_once() -> None:
    """Nobody should start a service three times to learn three mistakes."""
    with pytest.raises(SettingsError) as refused:
        _load(http_port=0, incident_threshold=0)
    assert "HTTP_PORT" in str(refused.value)
    assert "INCIDENT_THRESHOLD" in str(refused.value)


@pytest.mark.parametrize("missing", ["kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password"])
def test_sasl_needs_all_of_its_settings(missing: str) -> None:
    """Half of them would fail at the first connection."""
    complete: dict[str, object] = {
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_mechanism": "PLAIN",
        "kafka_sasl_username": "me",
        "kafka_sasl_password": "secret",
    }
    assert _load(**complete).kafka_sasl_username == "me"
    with pytest.raises(SettingsError, match="KAFKA_SASL_MECHANISM"):
        _load(**(complete | {missing: None}))


def test_settings_cannot_be_changed_after_the_start() -> None:
    """What was validated stays."""
    with pytest.raises(ValidationError):
        _load().http_port = 1


def test_secrets_are_not_shown() -> None:
    """Neither in a log line nor in an error."""
    settings = _load(openai_api_key=SecretStr("sk-very-secret"), kafka_sasl_password=SecretStr("hush"))
    assert "sk-very-secret" not in repr(settings)
    assert "hush" not in repr(settings)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_the_database_address_is_given_in_the_form_of_its_driver(scheme: str) -> None:
    """Whichever of the usual schemes it is written with."""
    settings = _load(database_url=f"{scheme}://me:pw@host:5432/db")
    assert settings.asyncpg_url == "postgresql+asyncpg://me:pw@host:5432/db"
