"""Nobody listens where the provider should be."""

import pytest

from analyzer_worker.model_errors import Retryable
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import running_server

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


async def test_nobody_there_is_passing_trouble() -> None:
    """It does not end in an unknown error, and costs nothing."""
    with running_server() as gone:
        model = model_for(gone)
    with pytest.raises(Retryable) as caught:
        await ask(model, POOL)
    assert not caught.value.may_be_billed
