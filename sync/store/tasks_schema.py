"""The tables of task delivery. Columns explain themselves in `sync.proto.task_records`.

Bytes and pages per task, both sides together: 5 rows, 9 index entries, 3 commits.
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
        counted INTEGER NOT NULL,
        ended_ms INTEGER,
        answered INTEGER NOT NULL,
        cancel INTEGER NOT NULL,
        reason TEXT NOT NULL,
        result TEXT,
        progress TEXT,
        progress_ms INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS tasks_sent_message
        ON tasks_sent (message_id, peer, agent)
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
        delivered INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS tasks_received_message
        ON tasks_received (peer, agent, message_id) WHERE message_id IS NOT NULL
    """,
    """
    CREATE INDEX IF NOT EXISTS tasks_received_open
        ON tasks_received (agent, number) WHERE finished_ms IS NULL
    """,
    # Sealed envelopes that are offered until they are answered. `kept`: a task that the peer
    # acknowledged, offered again only if the peer starts a new epoch.
    """
    CREATE TABLE IF NOT EXISTS tasks_outbox (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        peer BLOB NOT NULL,
        kind TEXT NOT NULL,
        task_id BLOB NOT NULL,
        data BLOB NOT NULL,
        until_ms INTEGER NOT NULL,
        kept INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE INDEX IF NOT EXISTS tasks_outbox_waiting ON tasks_outbox (peer, kept, number)
    """,
    """
    CREATE INDEX IF NOT EXISTS tasks_outbox_about ON tasks_outbox (task_id, kind)
        WHERE kind <> 'task'
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
