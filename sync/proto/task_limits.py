"""Every limit of task delivery: its name, its reason, and what happens there."""

from dataclasses import dataclass

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """The defaults are the product's; a simulator may want smaller ones."""

    # At the sender.
    outbox_rows_max: int = 10_000  # for one peer; beyond: QueueFull
    outbox_bytes_max: int = 64 * 1024 * 1024  # likewise
    life_ms: int = DAY_MS  # of a task, where its sender names none
    life_ms_max: int = 7 * DAY_MS  # beyond: LifeTooLong
    result_grace_ms: int = 3600 * 1000  # past expiry; then "whether it was done is unknown"
    finished_kept_ms: int = 7 * DAY_MS  # ended rows, for `task get`; then purged
    finished_rows_max: int = 100_000  # beyond, the oldest are purged before their time
    # At the receiver.
    waiting_max: int = 256  # unfinished tasks for one agent; beyond: busy. See the two below
    received_rows_max: int = 100_000  # of one peer; beyond: busy, never evicted before expiry
    result_kept_ms: int = 7 * DAY_MS  # an unacknowledged result is offered this long
    # On the way.
    window: int = 128  # envelopes on their way to one peer; more wait in the store
    retry_s: float = 1.0  # first; doubles, with jitter
    retry_s_max: float = 60.0
    receipt_delay_s: float = 0.03  # acknowledgements gather this long; a result is quicker
    progress_pause_s: float = 0.1  # between two updates of one task; the latest wins
    progress_characters_max: int = 4_000  # beyond: cut
    sweep_s: float = 60.0  # the longest pause between two looks for what has expired

    @property
    def waiting_share(self) -> int:
        """Of `waiting_max`, what one peer may use: half; beyond: busy."""
        return max(1, self.waiting_max // 2)

    @property
    def waiting_of_peers(self) -> int:
        """Of `waiting_max`, what all peers together may use: the rest is the node's own."""
        return max(1, self.waiting_max - self.waiting_max // 8)
