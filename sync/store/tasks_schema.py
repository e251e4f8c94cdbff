"""The tables of task delivery. Columns explain themselves in `sync.proto.task_records`.

A commit writes whole pages, and that is most of what a task costs here. So indexes are few and
partial, the outbox is one tree without any, and a task writes, for sender and receiver: 5 and 5
pages when it is submitted and accepted, 4 and 4 when it is answered and finished, 3 when the
result is acknowledged; fewer for each where several share a commit.
"""

SCHEMA = (
    # What we asked of others.
    """
    CREATE TABLE IF NOT EXISTS tasks_sent (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        peer BLOB NOT NULL,
        agent TEXT NOT NULL,
        message_id TEXT NOT NULL,
        context_id TEXT,
        body_hash BLOB NOT NULL,
        origin_task BLOB,
        origin_call INTEGER,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        outbox INTEGER,
        is_named INTEGER NOT NULL,
        counted INTEGER NOT NULL,
        ended_ms INTEGER,
        answered INTEGER NOT NULL,
        cancel INTEGER NOT NULL,
        cancel_outbox INTEGER,
        reason TEXT NOT NULL,
        result TEXT,
        progress TEXT,
        progress_ms INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS tasks_sent_message
        ON tasks_sent (message_id, peer, agent) WHERE is_named
    """,
    """
    CREATE INDEX IF NOT EXISTS tasks_sent_open
        ON tasks_sent (counted, expires_ms, peer) WHERE ended_ms IS NULL
    """,
    # What others asked of us; a row outlives the task until the task has expired.
    """
    CREATE TABLE IF NOT EXISTS tasks_received (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        peer BLOB NOT NULL,
        agent TEXT NOT NULL,
        message_id TEXT,
        message_key BLOB,
        context_id TEXT,
        body_hash BLOB NOT NULL,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL,
        chain TEXT NOT NULL,
        message TEXT NOT NULL,
        cancel INTEGER NOT NULL,
        finished_ms INTEGER,
        disposition INTEGER,
        reason TEXT NOT NULL,
        result TEXT,
        outbox INTEGER
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS tasks_received_message
        ON tasks_received (message_key) WHERE message_key IS NOT NULL
    """,
    """
    CREATE INDEX IF NOT EXISTS tasks_received_open
        ON tasks_received (agent, peer, number) WHERE finished_ms IS NULL
    """,
    # Sealed envelopes that are offered until they are answered. `kept`: a task that the peer
    # acknowledged, offered again only if the peer starts a new epoch.
    """
    CREATE TABLE IF NOT EXISTS tasks_outbox (
        peer BLOB NOT NULL,
        number INTEGER NOT NULL,
        id BLOB NOT NULL,
        kind TEXT NOT NULL,
        task_id BLOB NOT NULL,
        data BLOB NOT NULL,
        until_ms INTEGER NOT NULL,
        kept INTEGER NOT NULL,
        PRIMARY KEY (peer, number)
    ) STRICT, WITHOUT ROWID
    """,
    # One account for each peer, and our own.
    """
    CREATE TABLE IF NOT EXISTS tasks_peers (
        peer BLOB PRIMARY KEY,
        sent INTEGER NOT NULL DEFAULT 0,
        acknowledged INTEGER NOT NULL DEFAULT 0,
        expired INTEGER NOT NULL DEFAULT 0,
        refused INTEGER NOT NULL DEFAULT 0,
        queued INTEGER NOT NULL DEFAULT 0,
        queued_bytes INTEGER NOT NULL DEFAULT 0,
        received INTEGER NOT NULL DEFAULT 0,
        owed INTEGER NOT NULL DEFAULT 0,
        owed_bytes INTEGER NOT NULL DEFAULT 0,
        purged_through_ms INTEGER NOT NULL DEFAULT 0,
        epoch BLOB
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS tasks_clock (
        only INTEGER PRIMARY KEY CHECK (only = 0),
        high_ms INTEGER NOT NULL
    ) STRICT
    """,
    "INSERT INTO tasks_clock VALUES (0, 0) ON CONFLICT DO NOTHING",
    # What the host calls of unfinished tasks were answered.
    """
    CREATE TABLE IF NOT EXISTS task_calls (
        task_id BLOB NOT NULL,
        number INTEGER NOT NULL,
        request_hash BLOB NOT NULL,
        answer BLOB NOT NULL,
        PRIMARY KEY (task_id, number)
    ) STRICT
    """,
)
