"""The worker's end of its channel: blocking, one frame at a time."""

import os

from sandbox.hostcall import FROM_NODE, Frame, Parser, encode

_READ_BYTES = 64 << 10


class NodeGone(Exception):
    """The node closed the channel: there is nobody left to work for."""


class Channel:
    """Frames over a connected stream socket, with read and write only."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._parser = Parser(FROM_NODE)

    def send(self, frame: Frame) -> None:
        """Write one frame whole. Raises NodeGone."""
        left = memoryview(encode(frame))
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except (BrokenPipeError, ConnectionResetError) as gone:
                raise NodeGone from gone

    def receive(self) -> Frame:
        """The next frame. Raises NodeGone, MalformedFrame."""
        while (frame := self._parser.next()) is None:
            try:
                data = os.read(self._descriptor, _READ_BYTES)
            except ConnectionResetError as gone:
                raise NodeGone from gone
            if not data:
                raise NodeGone
            self._parser.feed(data)
        return frame
