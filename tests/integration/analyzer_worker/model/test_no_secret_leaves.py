"""Nothing that was seeded leaves, whatever the model does."""

import pytest

from analyzer_worker.model_errors import ModelError
from runtime.metrics import SECRETS_REDACTED
from tests.integration.analyzer_worker.model.asking import ask, model_for
from tests.support.openai_server import KEY, OpenAIServer, saying

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


SECRETS = [
    "hunter2-horse",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.s5fGrGQm",
    "bob.miller@example.com",
    "203.0.113.77",
    "4111 1111 1111 1111",
    "jdoe",
    "s3cr3tpw",
]


async def test_no_secret_leaves(server: OpenAIServer) -> None:
    """Nothing that was seeded is found in any request, not in the repair either; it is counted by kind."""
    server.behaviour = saying(category="gremlins")
    before = SECRETS_REDACTED.labels("email")._value.get()
    texts = [
        f"login failed password={SECRETS[0]}",
        f"S3 upload with {SECRETS[1]} denied",
        f"Authorization: Bearer {SECRETS[2]}",
        f"mail to {SECRETS[3]} bounced from {SECRETS[4]}",
        f"card {SECRETS[5]} declined, see /home/{SECRETS[6]}/log",
        f"cannot connect to postgres://app:{SECRETS[7]}@db/x",
    ]
    with pytest.raises(ModelError):
        await ask(model_for(server), *texts, service=f"svc {SECRETS[3]}")
    sent = b"\n".join(server.bodies).decode()
    assert len(server.bodies) == 2
    assert [secret for secret in [*SECRETS, KEY] if secret in sent] == []
    assert SECRETS_REDACTED.labels("email")._value.get() > before
