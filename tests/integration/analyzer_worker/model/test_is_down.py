"""A provider that is not there."""

import pytest

from analyzer_worker.model_errors import Retryable
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import running_server

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


async def test_nobody_there_is_passing_trouble() -> None:
    """A server that is not there does not end in an unknown error."""
    with running_server() as gone:
        model = model_for(gone)
    with pytest.raises(Retryable):
        await ask(model, POOL)
