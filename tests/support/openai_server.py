"""A local server with the OpenAI chat API that behaves or misbehaves as told, and keeps every body it was sent."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

KEY: Final = "sk-local-test-key-of-no-worth"


class Answer(msgspec.Struct, frozen=True):
    """What the server sends: an HTTP status, and with 200 the text of the model; `seconds` late.

    Or nothing: `hang_up` closes the connection instead.
    """

    text: str = ""
    status: int = 200
    finish_reason: str = "stop"
    seconds: float = 0.0
    retry_after: str | None = None
    output_tokens: int = 100
    tells_usage: bool = True
    hang_up: bool = False


Behaviour = Callable[[dict[str, Any]], Answer]
"""Gets the decoded request body."""


def events_in(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of the evidence block of a request, as the model sees them."""
    text = next(message["content"] for message in body["messages"] if message["role"] == "user")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["kind"] == "event"]


def claim(event_id: str, quote: str, text: str = "The service cannot get database connections.") -> dict[str, str]:
    """A sentence that rests on a quote."""
    return {"claim": text, "id": event_id, "quote": quote}


def analysis(body: dict[str, Any], **changes: Any) -> str:
    """A good analysis that quotes the first event, with some fields changed."""
    first = events_in(body)[0]
    good = {
        "category": "database_issue",
        "severity": "P1",
        "recommended_actions": ["Check the pool.", "Check the database."],
        "confidence": 0.8,
        "claims": [claim(first["id"], first["text"][:60])],
        "reason": "The events say so.",
    }
    return json.dumps(good | changes)


def honest(body: dict[str, Any]) -> Answer:
    """A good answer."""
    return Answer(analysis(body))


def saying(**changes: Any) -> Behaviour:
    """A good answer but for some fields."""
    return lambda body: Answer(analysis(body, **changes))


def failing(status: int) -> Behaviour:
    """An error answer."""
    return lambda _: Answer(status=status)


def slow(seconds: float) -> Behaviour:
    """A good answer, late; it ends early when the server stops."""
    return lambda body: Answer(analysis(body), seconds=seconds)


def cut_short(body: dict[str, Any]) -> Answer:
    """Half an answer."""
    text = analysis(body)
    return Answer(text[: len(text) // 2], finish_reason="length")


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One behaviour a request, the last one for ever."""
    left = list(behaviours)

    def next_of_them(body: dict[str, Any]) -> Answer:
        behaviour = left.pop(0) if len(left) > 1 else left[0]
        return behaviour(body)

    return next_of_them


class OpenAIServer:
    """The running server."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = honest
        self.bodies: list[bytes] = []
        self.stopping = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        """What LLM_API_BASE is set to."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def serve(self) -> None:
        """Serve until `stop`."""
        self._http.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """End, and let slow answers go."""
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def running_server() -> Iterator[OpenAIServer]:
    """A server for the time of a with block."""
    server = OpenAIServer()
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def _handler(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            server.bodies.append(raw)
            answer = server.behaviour(json.loads(raw))
            if answer.seconds and server.stopping.wait(answer.seconds):
                return
            if answer.hang_up:
                self.close_connection = True
                return
            body = json.dumps(_completion(answer) if answer.status == 200 else _error(answer.status)).encode()
            try:
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if answer.retry_after is not None:
                    self.send_header("Retry-After", answer.retry_after)
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                return  # the client has given up

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives
            """Say nothing."""

    return Handler


def _completion(answer: Answer) -> dict[str, Any]:
    usage = {
        "prompt_tokens": 1_000,
        "completion_tokens": answer.output_tokens,
        "total_tokens": 1_000 + answer.output_tokens,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [
            {
                "index": 0,
                "finish_reason": answer.finish_reason,
                "message": {"role": "assistant", "content": answer.text},
            }
        ],
    } | ({"usage": usage} if answer.tells_usage else {})


def _error(status: int) -> dict[str, Any]:
    return {"error": {"message": f"told to answer {status}", "type": "test", "code": str(status)}}
