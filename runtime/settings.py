"""Every setting of every service, read once from the environment (and a `.env` file) and validated at start."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SHORTEST_CANARY: Final = 5
"""Seconds between two incidents of the canary at least: the one must have ended when the other opens."""

_NAMED_URL: Final = re.compile(r"[\w.-]+=https?://[^\s,]+")


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


BrokerChoice = Literal["auto", "kafka", "embedded"]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class SettingsError(Exception):
    """A setting that cannot be used; the text names the setting and says what it takes."""


class Settings(BaseSettings):
    """One frozen object; the environment variable of a field is its name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, case_sensitive=False
    )

    environment: str = Field("development", description="Shown by /health and kept on every log line.")
    log_level: LogLevel = Field("INFO", description="The least severe level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON."
    )

    # --- traces (docs/tracing.md) -----------------------------------------------------------------------
    otel_exporter_otlp_endpoint: str = Field(
        "", description="An OTLP/HTTP endpoint, as http://localhost:4318; with it or the next, traces are sent."
    )
    otel_exporter_otlp_traces_endpoint: str = Field(
        "", description="The same for traces alone, with its path: http://localhost:4318/v1/traces."
    )
    otel_sdk_disabled: bool = Field(default=False, description="No traces, whatever else is set.")
    otel_traces_exporter: Literal["otlp", "none"] = Field("otlp", description="none: no traces.")
    otel_service_name: str = Field("", description="The service.name of spans; default: the process's own.")
    otel_traces_sampler: str = Field(
        "",
        description="Which requests begin a trace, as parentbased_traceidratio; default: all, unless a parent says no.",
    )
    otel_traces_sampler_arg: str = Field("", description="Its argument, as 0.01.")

    # --- where things are -------------------------------------------------------------------------------
    state_dir: Path = Field(Path(".state"), description="Data of the broker and the database that `up` runs.")
    host: str = Field("127.0.0.1", description="The address that the services listen on.")
    http_port: int = Field(8000, ge=1, le=65535, description="The HTTP API.")
    dashboard_port: int = Field(3000, ge=1, le=65535, description="The dashboard.")
    processor_port: int = Field(8001, ge=1, le=65535, description="Health and metrics of stream_processor.")
    analyzer_port: int = Field(8002, ge=1, le=65535, description="Health and metrics of analyzer_worker.")
    materializer_port: int = Field(8003, ge=1, le=65535, description="Health and metrics of the materializer.")
    broker_port: int = Field(9092, ge=1, le=65535, description="The Kafka port of the broker that `up` runs.")
    postgres_port: int = Field(54329, ge=1, le=65535, description="The port of the PostgreSQL that `up` runs.")
    api_url: str = Field(
        "", description="Where the dashboard and the analyzer find the HTTP API; default: this machine."
    )
    service_urls: str = Field(
        "", description="The processes that the Pipeline page asks: name=url,name=url; default: this machine's ports."
    )

    # --- Kafka ------------------------------------------------------------------------------------------
    broker: BrokerChoice = Field("auto", description="auto: Apache Kafka where Java 17 and Maven are found.")
    kafka_bootstrap_servers: str = Field("", description="A cluster of your own: host:port,host:port.")
    kafka_security_protocol: SecurityProtocol = Field("PLAINTEXT", description="How to speak with the cluster.")
    kafka_sasl_mechanism: SaslMechanism | None = Field(None, description="How to log in, where the protocol has SASL.")
    kafka_sasl_username: str | None = Field(None, description="Who logs in.")
    kafka_sasl_password: SecretStr | None = Field(None, description="With which password.")
    kafka_ssl_cafile: Path | None = Field(None, description="Authorities to trust; default: the machine's.")
    kafka_ssl_certfile: Path | None = Field(None, description="A client certificate, where the cluster asks for one.")
    kafka_ssl_keyfile: Path | None = Field(None, description="Its key.")
    kafka_idempotence: bool = Field(
        default=True, description="Idempotent producers; off only for brokers that cannot (the embedded one)."
    )
    kafka_session_timeout_ms: int = Field(
        10_000, ge=1_000, description="Milliseconds without a heartbeat until a group member is given up."
    )
    topic_partitions: int = Field(6, ge=1, le=10_000, description="Partitions of topics made at start.")
    topic_replication_factor: int = Field(1, ge=1, le=32767, description="Replicas of topics made at start.")

    topics_file: Path | None = Field(
        None, description="A YAML file with partitions, replicas and settings of topics; empty: as they are declared."
    )

    # --- ingest gateway ---------------------------------------------------------------------------------
    publish_timeout: float = Field(
        5.0, ge=0.1, le=60, description="Seconds that a request waits for the broker's acknowledgement."
    )
    ingest_buffer_bytes: int = Field(
        64 * 1024 * 1024, ge=16 * 1024 * 1024, description="Bytes of request bodies held at once; above: 503."
    )
    syslog_port: int = Field(0, ge=0, le=65535, description="Where syslog messages are taken over TCP; 0: nowhere.")
    syslog_host: str = Field("", description="The address that SYSLOG_PORT listens on; default: HOST.")

    # --- whether the pipeline sees ------------------------------------------------------------------------
    canary_interval: int = Field(
        60,
        ge=0,
        le=3_600,
        description="Seconds between two incidents of the pipeline's own, by which it knows that it sees; 0: none.",
    )

    # --- PostgreSQL -------------------------------------------------------------------------------------
    database_url: str = Field("", description="postgresql://user:password@host:port/name; empty: embedded.")
    events_retention_days: int = Field(
        7, ge=1, le=90, description="Days that the view keeps an event after its receipt; 7, as the topic does."
    )

    # --- detection --------------------------------------------------------------------------------------
    rules: Path | None = Field(
        None, description="A rule file or a directory of them; empty: the rule error-burst of the settings below."
    )
    incident_threshold: int = Field(5, ge=1, le=10_000, description="Events that open an incident.")
    incident_time_window: int = Field(300, ge=1, le=86_400, description="Seconds they must lie within.")
    incident_quiet_period: int = Field(
        3_600, ge=0, description="Seconds without a qualifying event until an incident ends; 0: never."
    )
    allowed_lateness: int = Field(600, ge=0, le=86_400, description="Seconds behind the service's newest event time.")

    state_store: Literal["memory", "disk"] = Field(
        "memory", description="Where the processor keeps its state; disk: a file in STATE_DIR, for more than memory."
    )

    dlq_stop_share: float = Field(
        0.9, ge=0, le=1, description="The share of dead letters among the last records that stops detection; 0: never."
    )
    dlq_stop_window: int = Field(1_000, ge=10, le=100_000, description="How many records that share is taken of.")

    # --- analysis ---------------------------------------------------------------------------------------
    llm_model: str = Field("", description="A litellm model name, as openai/gpt-4o-mini; empty: rules only.")
    llm_fallback_models: str = Field(
        "", description="Models to ask when LLM_MODEL gives no usable answer, in order, with commas between them."
    )
    llm_api_base: str = Field("", description="The address of an OpenAI-compatible server, if not the default.")
    llm_timeout: float = Field(30.0, gt=0, le=600, description="Seconds that one model call may take.")
    llm_max_concurrency: int = Field(2, ge=1, le=64, description="Model calls under way at once.")
    llm_budget_usd_per_day: float | None = Field(
        None, ge=0, description="The most that models may cost in a UTC day; empty: no limit."
    )
    llm_budget_usd_per_service_per_day: float | None = Field(
        None, ge=0, description="The same for the incidents of one service."
    )
    llm_price_input_usd_per_million: float | None = Field(
        None, ge=0, description="Price of a million input tokens, for models whose price litellm does not know."
    )
    llm_price_output_usd_per_million: float | None = Field(None, ge=0, description="The same for output tokens.")
    llm_retry_delays: str = Field(
        "60,300,1800", description="Seconds until an incident whose model failed is asked about again, in turn."
    )
    openai_api_key: SecretStr | None = Field(None, description="With it alone, LLM_MODEL is openai/gpt-4o-mini.")

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: str) -> str:
        scheme, _, rest = url.partition("://")
        if url and (scheme not in ("postgresql", "postgres", "postgresql+asyncpg") or not rest):
            raise ValueError("takes postgresql://user:password@host:port/name")
        return f"postgresql://{rest}" if url else ""

    @field_validator("llm_retry_delays")
    @classmethod
    def _is_a_list_of_seconds(cls, text: str) -> str:
        if not all(part.strip().isdigit() for part in text.split(",") if part.strip()):
            raise ValueError("takes whole seconds with commas between them, as 60,300,1800")
        return text

    @field_validator("canary_interval")
    @classmethod
    def _is_longer_than_an_incident(cls, seconds: int) -> int:
        if 0 < seconds < SHORTEST_CANARY:
            raise ValueError(f"takes 0 (off) or at least {SHORTEST_CANARY} seconds")
        return seconds

    @field_validator("service_urls")
    @classmethod
    def _are_named_urls(cls, urls: str) -> str:
        if urls and not all(_NAMED_URL.fullmatch(item.strip()) for item in urls.split(",")):
            raise ValueError("takes name=http://host:port, several with commas between them")
        return urls

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_mechanism and self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError(
                "KAFKA_SECURITY_PROTOCOL with SASL needs KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and "
                "KAFKA_SASL_PASSWORD"
            )
        return self

    @property
    def traces_endpoint(self) -> str:
        """Where traces go; empty: nowhere."""
        if self.otel_sdk_disabled or self.otel_traces_exporter == "none":
            return ""
        return self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint

    @property
    def otel_environment(self) -> dict[str, str]:
        """The settings of traces as the variables that OpenTelemetry's SDK reads."""
        names = [
            name
            for name, field in type(self).model_fields.items()
            if name.startswith("otel_") and field.annotation is str
        ]
        return {name.upper(): value for name in names if (value := getattr(self, name))}

    @property
    def asyncpg_url(self) -> str:
        """The database address in the form that SQLAlchemy wants for asyncpg."""
        _, _, rest = self.database_url.partition("://")
        return f"postgresql+asyncpg://{rest}"


def load_settings(**overrides: object) -> Settings:
    """Read the settings; `overrides` win over the environment.

    Raises:
        SettingsError: one line for each setting that cannot be used.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in item['loc']).upper() or 'settings'}: {item['msg']}"
            for item in error.errors()
        ]
        raise SettingsError("; ".join(lines)) from error
