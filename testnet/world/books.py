"""What the disks say: effects, tasks and logs, read as an auditor would, past the engines."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sync.journal import Entry
from sync.proto.task_states import Counted
from sync.proto.task_views import TaskView
from testnet.world.site import JOURNALS, Site

LogFact = tuple[str, bytes, bytes, int, int, bytes, int | None]


@dataclass(frozen=True, slots=True)
class Written:
    """One entry of a journal, in its place."""

    journal: str
    author: bytes
    text: str
    task_id: bytes | None


def entries(site: Site) -> Iterator[Written]:
    """Every entry in the view, of every author, in the order of the merged view."""
    rows = site.disk.execute(
        "SELECT n.name, l.author, e.data FROM journal_entries e"
        " JOIN journal_logs l ON l.id = e.log JOIN journal_names n ON n.id = e.journal"
        " WHERE e.seq < l.visible ORDER BY n.name, e.time, l.author, l.epoch, e.seq"
    )
    for journal, author, data in rows:
        entry = Entry.parse(data)
        yield Written(journal, author, entry.text, entry.task_id)


def effects(site: Site) -> Counter[str]:
    """How often each text was written by this site's own hands; what was not sealed yet as well."""
    own = set(site.keys())
    found = Counter(entry.text for entry in entries(site) if entry.author in own)
    for author, data in site.disk.rows("SELECT author, data FROM journal_unsealed"):
        if author in own:
            found[Entry.parse(data).text] += 1
    return found


def logs(site: Site) -> list[LogFact]:
    """Each log of the shared journals: equal lists mean equal content."""
    rows = site.disk.rows(
        "SELECT n.name, l.author, l.epoch, l.size, l.visible, l.root, l.frozen_at"
        " FROM journal_logs l JOIN journal_names n ON n.id = l.journal"
        " ORDER BY n.name, l.author, l.epoch"
    )
    return [row for row in rows if row[0] in JOURNALS]


@dataclass(frozen=True, slots=True)
class Sent:
    """A task as its sender's disk has it."""

    peer: bytes
    counted: Counted
    is_ended: bool
    is_answered: bool  # by the peer's own result


def sent(site: Site, task_id: bytes | None = None) -> dict[bytes, Sent]:
    """Every task that was sent from here, or only that one."""
    rows = site.disk.rows(
        "SELECT id, peer, counted, ended_ms, answered FROM tasks_sent WHERE ?1 IS NULL OR id = ?1",
        (task_id,),
    )
    return {
        id: Sent(peer, Counted(counted), ended is not None, bool(answered))
        for id, peer, counted, ended, answered in rows
    }


def received(site: Site, task_id: bytes) -> bool | None:
    """Whether the task has finished here; None if it is not here."""
    row = site.disk.row("SELECT finished_ms FROM tasks_received WHERE id = ?", (task_id,))
    return None if row is None else row[0] is not None


def made(site: Site) -> list[tuple[bytes, int, bytes]]:
    """Which call of which task made which task."""
    rows = site.disk.rows(
        "SELECT origin_task, origin_call, id FROM tasks_sent WHERE origin_task IS NOT NULL"
    )
    return [(task, call, id) for task, call, id in rows]


def view(site: Site, task_id: bytes) -> TaskView:
    """A task of this site's, as its sender sees it."""
    assert site.process is not None, "looked at while the node runs"
    return site.process.mesh.tasks.get(task_id, "sent")


def leftovers(site: Site) -> dict[str, int]:
    """Rows that exist only while something is under way."""
    tables = ("tasks_outbox", "task_calls", "journal_staged", "journal_unsealed")
    counts = {
        table: int(site.disk.value(f"SELECT count(*) FROM {table}"))  # noqa: S608 - constants
        for table in tables
    }
    return {table: count for table, count in counts.items() if count}


def orphans(site: Site) -> dict[str, int]:
    """Rows about tasks that are not under way, or are not there."""
    queries = {
        "task_calls": "SELECT count(*) FROM task_calls WHERE task_id NOT IN"
        " (SELECT id FROM tasks_received WHERE finished_ms IS NULL)",
        "journal_staged": "SELECT count(*) FROM journal_staged WHERE task NOT IN"
        " (SELECT id FROM tasks_received WHERE finished_ms IS NULL)",
        "tasks_outbox": "SELECT count(*) FROM tasks_outbox WHERE kind = 'task' AND task_id NOT IN"
        " (SELECT id FROM tasks_sent WHERE ended_ms IS NULL)",
    }
    counts = {name: int(site.disk.value(sql)) for name, sql in queries.items()}
    return {name: count for name, count in counts.items() if count}
