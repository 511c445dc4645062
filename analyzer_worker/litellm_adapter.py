"""The only module that knows litellm: one call, no hidden retries, its exceptions brought to ours.

litellm is imported at the first call: it takes seconds and hundreds of megabytes that the rules never need.
"""

import asyncio
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from analyzer_worker.model_errors import ModelError, Permanent, Retryable
from analyzer_worker.retry_after import seconds_of
from analyzer_worker.spending.price import PER_MILLION, Price
from runtime.settings import Settings

MAX_ANSWER_TOKENS: Final = 1_200
DEFAULT_MODEL: Final = "openai/gpt-4o-mini"
"""Used where OPENAI_API_KEY is set and LLM_MODEL is not: cheap, quick, and takes a JSON Schema."""

Message = dict[str, str]


class Reply(msgspec.Struct, frozen=True):
    """A model's answer as it came. Tokens are 0 where they are not told, `cost_usd` where nobody knows."""

    text: str
    finish_reason: str
    cost_usd: float
    input_tokens: int = 0
    output_tokens: int = 0


class Completion(Protocol):
    """Something that continues a conversation."""

    model: str

    async def prepare(self) -> None:
        """Load what takes long to load, once; never blocks the event loop."""

    def price(self) -> Price | None:
        """What its tokens cost; None where nobody knows. Only after `prepare`."""

    async def complete(self, messages: list[Message], schema: dict[str, Any], timeout: float) -> Reply:  # noqa: ASYNC109 - handed on to the client, which closes its connection
        """Give one answer to `messages` in the form of `schema`, or raise a `ModelError`; `timeout` in seconds."""


def model_name(settings: Settings) -> str:
    """The model to ask, or an empty text where the rules work alone."""
    return settings.llm_model or (DEFAULT_MODEL if settings.openai_api_key else "")


def fallback_names(settings: Settings) -> list[str]:
    """The models of LLM_FALLBACK_MODELS."""
    return [name for part in settings.llm_fallback_models.split(",") if (name := part.strip())]


class LiteLLM:
    """A model behind litellm; keys of providers other than OpenAI are read by litellm from their own variables."""

    def __init__(self, settings: Settings, model: str | None = None) -> None:
        """`model`: default, the one that the settings name first."""
        self.model = model or model_name(settings)
        self._options = _options(self.model, settings)
        self._own_price = _own_price(settings)

    async def prepare(self) -> None:
        """Import litellm, in a thread."""
        try:
            await asyncio.to_thread(_library)
        except ImportError as error:
            raise Permanent(f"litellm cannot be imported: {error}") from error

    def price(self) -> Price | None:
        """See `Completion`."""
        return _known_price(self.model) or self._own_price

    async def complete(self, messages: list[Message], schema: dict[str, Any], timeout: float) -> Reply:  # noqa: ASYNC109 - see Completion
        """See `Completion`."""
        litellm = _library()
        try:
            response = await litellm.acompletion(
                model=self.model,
                messages=messages,
                response_format={"type": "json_schema", "json_schema": schema},
                timeout=timeout,
                max_tokens=MAX_ANSWER_TOKENS,
                temperature=0,
                num_retries=0,
                max_retries=0,
                drop_params=True,
                **self._options,
            )
        except Exception as error:
            raise _translated(error) from error
        return _reply(response)


async def close_connections() -> None:
    """Close what litellm keeps open for the next call; it does so itself only as the process ends."""
    if not _library.cache_info().currsize:
        return
    litellm = _library()
    await litellm.close_litellm_async_clients()
    litellm.in_memory_llm_clients_cache.flush_cache()


def _options(model: str, settings: Settings) -> dict[str, Any]:
    # A server of one's own speaks one provider's language: models of another keep their own address.
    is_its_own = _provider(model) == _provider(model_name(settings))
    options: dict[str, Any] = {"api_base": settings.llm_api_base} if settings.llm_api_base and is_its_own else {}
    if model.startswith("openai/") or "/" not in model:
        if settings.openai_api_key:
            options["api_key"] = settings.openai_api_key.get_secret_value()
        elif settings.llm_api_base and not os.environ.get("OPENAI_API_KEY"):
            options["api_key"] = "none"  # local servers want no key, but the client insists on one
    return options


def _provider(model: str) -> str:
    return model.partition("/")[0] if "/" in model else "openai"


def _own_price(settings: Settings) -> Price | None:
    per_input, per_output = settings.llm_price_input_usd_per_million, settings.llm_price_output_usd_per_million
    if per_input is None or per_output is None:
        return None
    return Price(per_input / PER_MILLION, per_output / PER_MILLION)


@lru_cache(maxsize=64)
def _known_price(model: str) -> Price | None:
    """The price in litellm's own list, which comes with the package."""
    try:
        found = _library().get_model_info(model)
    except Exception:  # noqa: BLE001 - litellm raises plain Exception for a model that it does not know
        return None
    per_input, per_output = found.get("input_cost_per_token"), found.get("output_cost_per_token")
    return Price(per_input, per_output) if per_input is not None and per_output is not None else None


@lru_cache(maxsize=1)
def _library() -> Any:
    """Import litellm without its visit to the network and to `.env` files, and keep it quiet."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm  # noqa: PLC0415 - see the module's docstring

    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    litellm.redact_messages_in_exceptions = True
    return litellm


def _translated(error: Exception) -> ModelError:
    """Bring an exception of litellm, of the provider's client or of the network to ours, without its text.

    The text may quote what was sent; the class says enough.
    """
    status = getattr(error, "status_code", None)
    name = type(error).__name__
    what = f"{name} (HTTP {status})" if status else name
    kinds = _library().exceptions
    passing = (kinds.Timeout, kinds.APIConnectionError, kinds.RateLimitError, kinds.InternalServerError)
    if isinstance(error, (*passing, kinds.ServiceUnavailableError, OSError, TimeoutError)):
        return _passing(error, what)
    if isinstance(status, int) and (status in (408, 409, 425, 429) or status >= 500):  # noqa: PLR2004 - HTTP
        return _passing(error, what)
    return Permanent(f"the model refuses the request: {what}")


def _passing(error: Exception, what: str) -> Retryable:
    return Retryable(
        f"the model could not be reached or is overloaded: {what}",
        _asked_pause(error),
        may_be_billed=_may_be_billed(error),
    )


def _may_be_billed(error: Exception) -> bool:
    """Unless the provider answered with an error, which none charges for, or the request never reached it."""
    names = {type(cause).__name__ for cause in _causes(error)}
    return not names & {"HTTPStatusError", "APIStatusError", "ConnectError", "ConnectTimeout", "PoolTimeout"}


def _asked_pause(error: Exception) -> float:
    """The seconds of Retry-After. litellm gives its exception an empty response and keeps the headers beside it."""
    for cause in _causes(error):
        kept = getattr(cause, "litellm_response_headers", None)
        sent = getattr(getattr(cause, "response", None), "headers", None)
        for headers in (kept, sent):
            if headers and (value := headers.get("retry-after")):
                return seconds_of(str(value)) or 0.0
    return 0.0


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _reply(response: Any) -> Reply:
    try:
        choice = response.choices[0]
        text, finish = choice.message.content or "", choice.finish_reason or "stop"
    except (AttributeError, IndexError) as error:
        raise Retryable("the model's server sent no answer in its reply", may_be_billed=True) from error
    usage = getattr(response, "usage", None)
    tokens = (int(getattr(usage, name, 0) or 0) for name in ("prompt_tokens", "completion_tokens"))
    # Not litellm's cost: it goes by the model that the answer says it is from, which may be cheaper than the one asked.
    return Reply(str(text), str(finish), 0.0, *tokens)
