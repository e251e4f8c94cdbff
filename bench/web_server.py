"""The same answer to every request, from a process of its own: `python -m bench.web_server`.

Threads and blocking sockets, so that what it costs is small and the same for whoever asks.
"""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

BODY = b'{"price":"1.00EUR"}' * 50
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: bench\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


@contextlib.contextmanager
def web_server() -> Iterator[int]:
    """The port on loopback where it listens."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None, "asked for above"
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _talk(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = b""
    while data := connection.recv(65_536):
        *whole, buffer = (buffer + data).split(b"\r\n\r\n")
        connection.sendall(ANSWER * len(whole))


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_talk, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
