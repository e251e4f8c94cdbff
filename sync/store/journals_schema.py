"""The tables of the journals."""

from typing import Final

JOURNALS_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS journal_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)"
    " STRICT",
    """CREATE TABLE IF NOT EXISTS journal_logs (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,           -- 16 bytes, LogName.id
        journal INTEGER NOT NULL,
        author BLOB NOT NULL,
        epoch BLOB NOT NULL,
        size INTEGER NOT NULL,              -- entries covered by a signature, and not beyond a fork
        frontier BLOB NOT NULL,             -- the peaks of these entries
        root BLOB NOT NULL,
        total_bytes INTEGER NOT NULL,       -- of these entries
        previous_epoch BLOB,
        previous_size INTEGER,
        previous_root BLOB,
        run BLOB,                           -- the run of this node that writes it, if it is ours
        frozen_at INTEGER,                  -- first entry that a fork proof takes away
        disputed INTEGER NOT NULL DEFAULT 0, -- frozen, and what we hold may not be the common part
        visible INTEGER NOT NULL,           -- entries in the view, as far as they are due
        indexed INTEGER NOT NULL,           -- entries in the search index
        last_time INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS journal_logs_author ON journal_logs (author, journal)",
    "CREATE INDEX IF NOT EXISTS journal_logs_unindexed ON journal_logs (id) WHERE indexed < size",
    # The entry's place in the merged view is (time, author, epoch, seq); ties in time are rare,
    # so the index holds the time and SQLite sorts the ties.
    """CREATE TABLE IF NOT EXISTS journal_entries (
        log INTEGER NOT NULL, seq INTEGER NOT NULL, journal INTEGER NOT NULL, time INTEGER NOT NULL,
        data BLOB NOT NULL, PRIMARY KEY (log, seq)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS journal_entries_order ON journal_entries (journal, time)",
    """CREATE TABLE IF NOT EXISTS journal_checkpoints (
        log INTEGER NOT NULL, size INTEGER NOT NULL, total_bytes INTEGER NOT NULL,
        data BLOB NOT NULL, PRIMARY KEY (log, size)
    ) STRICT, WITHOUT ROWID""",
    # The head of each complete subtree of 256 entries, so that a proof about one entry in a
    # million reads a few thousand hashes and not a million entries.
    """CREATE TABLE IF NOT EXISTS journal_subtrees (
        log INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
        PRIMARY KEY (log, number)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS journal_forks (
        log INTEGER PRIMARY KEY, author BLOB NOT NULL, fork_index INTEGER NOT NULL,
        rootless INTEGER NOT NULL, provisional INTEGER NOT NULL, accepted INTEGER NOT NULL,
        proof BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS journal_forks_author ON journal_forks (author)",
    """CREATE TABLE IF NOT EXISTS journal_attestations (
        author BLOB PRIMARY KEY, node BLOB NOT NULL, data BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS journal_unsealed (
        id INTEGER PRIMARY KEY, journal TEXT NOT NULL, author BLOB NOT NULL, time INTEGER NOT NULL,
        data BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS journal_staged (
        task BLOB NOT NULL, number INTEGER NOT NULL, journal TEXT NOT NULL, author BLOB NOT NULL,
        nonce BLOB NOT NULL, originator TEXT NOT NULL, tag TEXT NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (task, number)
    ) STRICT, WITHOUT ROWID""",
    "CREATE VIRTUAL TABLE IF NOT EXISTS journal_text USING fts5"
    "(tag, text, content='', contentless_delete=1)",
    # Names of entries, filled with the search index: where is the entry with this nonce?
    """CREATE TABLE IF NOT EXISTS journal_ids (
        nonce BLOB NOT NULL, log INTEGER NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (nonce, log, seq)
    ) STRICT, WITHOUT ROWID""",
    # Vectors, each with the model that made it, and how far each log has been embedded.
    "CREATE TABLE IF NOT EXISTS journal_models (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)"
    " STRICT",
    """CREATE TABLE IF NOT EXISTS journal_vectors (
        model INTEGER NOT NULL, journal INTEGER NOT NULL, log INTEGER NOT NULL,
        seq INTEGER NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (model, journal, log, seq)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS journal_embedded (
        model INTEGER NOT NULL, log INTEGER NOT NULL, size INTEGER NOT NULL,
        PRIMARY KEY (model, log)
    ) STRICT, WITHOUT ROWID""",
)
