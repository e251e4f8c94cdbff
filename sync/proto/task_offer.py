"""A task as it arrives at its receiver, checked before anything is decided about it."""

import hashlib
from dataclasses import dataclass
from typing import Self

from identity.envelope import Envelope
from sync.clock import Moment
from sync.errors import MalformedTask
from sync.proto import task_messages
from sync.proto.task_bodies import TaskBody, load_task
from sync.proto.task_records import ReceivedTask


@dataclass(frozen=True, slots=True)
class Offer:
    """A task as it arrived, checked."""

    envelope: Envelope
    body: TaskBody
    body_hash: bytes
    context_id: str | None

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        body = load_task(envelope.body, envelope.author)
        message = task_messages.check_message(body.message)
        if message.message_id != body.message_id:
            raise MalformedTask("the body names another message id than the message")
        return cls(envelope, body, hashlib.sha256(envelope.body).digest(), message.context_id)

    def row(self, now: Moment, *, copy: bool = False) -> ReceivedTask:
        """What is stored of it; a copy never runs, so it holds neither words nor message id."""
        assert self.envelope.expires_ms is not None, "a task without expiry is no envelope"
        return ReceivedTask(
            id=self.envelope.id,
            peer=self.envelope.author,
            agent=self.body.agent,
            message_id=None if copy else self.body.message_id,
            context_id=self.context_id,
            body_hash=self.body_hash,
            created_ms=now.wall_ms,
            expires_ms=self.envelope.expires_ms,
            chain=self.body.chain,
            message="" if copy else self.body.message,
            scope=self.body.scope,
        )
