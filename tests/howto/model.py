"""A language model in the way of Ollama that always says the same, for the page about models."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SAYS = ("Air scatters blue light ", "more than red.")
CHAT = "/api/chat"


class _Model(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert self.path == CHAT
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert [message["role"] for message in asked["messages"]] == ["system", "user"]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.end_headers()
        for part in SAYS:
            self._say({"message": {"role": "assistant", "content": part}, "done": False})
        counts = {"prompt_eval_count": 31, "eval_count": 9}
        self._say({"message": {"content": ""}, "done": True, "done_reason": "stop", **counts})

    def _say(self, event: object) -> None:
        self.wfile.write(json.dumps(event).encode() + b"\n")

    def log_message(self, *_: object) -> None:
        """Nothing is said on the test's terminal."""


@contextlib.contextmanager
def model(port: int) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", port), _Model)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
