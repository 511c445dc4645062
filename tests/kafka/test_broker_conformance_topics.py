"""What the pipeline relies on in a broker's administration of topics."""

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError

from runtime.settings import Settings
from tests.support.conformance import behaviour
from tests.support.topics import admin_client, new_topic


@behaviour("topic settings")
async def test_topics_are_made_with_their_settings(broker_settings: Settings) -> None:
    """What a topic was created with is what DescribeConfigs tells."""
    topic = await new_topic(
        broker_settings, cleanup_policy="compact", retention_ms="123456", max_message_bytes="2097152"
    )
    async with admin_client(broker_settings) as admin:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    told = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert (told.get("cleanup.policy"), told.get("retention.ms"), told.get("max.message.bytes")) == (
        "compact",
        "123456",
        "2097152",
    )


@behaviour("existing topics")
async def test_making_a_topic_twice_is_refused_by_name(broker_settings: Settings) -> None:
    """The second request is answered with TopicAlreadyExists, so that several processes may try at once."""
    async with admin_client(broker_settings) as admin:
        name = await new_topic(broker_settings, partitions=2)
        answer = await admin.create_topics([NewTopic(name, 2, 1)])
    assert [code for _, code, *_ in answer.topic_errors] == [TopicAlreadyExistsError.errno]


@behaviour("unknown topics")
async def test_unknown_topics_are_not_made_by_asking_for_them(broker_settings: Settings) -> None:
    """A misspelt topic name in a request for metadata creates nothing."""
    async with admin_client(broker_settings) as admin:
        (described,) = await admin.describe_topics(["never-made"])
        assert described["error_code"] == 3
        assert "never-made" not in await admin.list_topics()
