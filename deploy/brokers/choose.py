"""Which broker this machine gets."""

from deploy.brokers.apache_kafka import ApacheKafka
from deploy.brokers.base import Broker, BrokerError
from deploy.brokers.embedded import EmbeddedBroker
from deploy.brokers.kafka_jars import Progress, say_nothing
from runtime.settings import Settings


def choose_broker(settings: Settings, progress: Progress = say_nothing) -> Broker:
    """The broker that BROKER asks for, installed and ready to start; `progress` is told what happens and why.

    With `auto` Apache Kafka is taken where it can be run and fetched, else the embedded broker.

    Raises:
        BrokerError: BROKER=kafka on a machine that cannot run it.
    """
    if settings.broker == "embedded":
        return EmbeddedBroker(settings.state_dir, settings.broker_port)
    try:
        return _apache_kafka(settings, progress)
    except BrokerError as error:
        if settings.broker == "kafka":
            raise
        progress(f"Apache Kafka is not used: {error}")
        return EmbeddedBroker(settings.state_dir, settings.broker_port)


def _apache_kafka(settings: Settings, progress: Progress) -> ApacheKafka:
    if reason := ApacheKafka.available():
        raise BrokerError(f"{reason}; install it, or set BROKER=embedded")
    ApacheKafka.install(progress)
    return ApacheKafka(settings.state_dir, settings.broker_port)
