"""Hosts for agents: a shelf of files in memory, a journal in a list, tasks run at once."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.agents.harness import Agent, AgentFailed, Handler, Host, Refusal

COMPLETED, FAILED = "TASK_STATE_COMPLETED", "TASK_STATE_FAILED"


@dataclass
class Shelf:
    """`filesystem` over a mapping of relative paths to texts; None is a file of no text."""

    files: Mapping[str, str | None]
    name: str = "shelf"
    limits: list[int] = field(default_factory=list)

    def handlers(self) -> dict[str, Handler]:
        return {"filesystem.list-files": self.list_files, "filesystem.read-file": self.read_file}

    def list_files(self, path: str, after: str, limit: int) -> str:
        self.limits.append(limit)
        found = {}
        for file in [f"/{self.name}/{file}" for file in self.files] or [f"/{self.name}/"]:
            prefix = path.rstrip("/") + "/"
            if file.startswith(prefix):
                name, _, below = file.removeprefix(prefix).partition("/")
                found[name] = "directory" if below or path == "/" else "file"
        names = sorted(name for name in found if name > after and name)
        page = [{"name": name, "kind": found[name], "bytes": 1} for name in names[:limit]]
        following = names[limit - 1] if len(names) > limit else None
        return json.dumps({"files": page, "next": following}, ensure_ascii=False)

    def read_file(self, path: str) -> str:
        text = self.files.get(path.removeprefix(f"/{self.name}/"), "")
        if text is None:
            return '{"base64":"AAAA"}'
        if text == "too large":
            raise Refusal("invalid", f"{path} is over 1048576 bytes")
        return json.dumps({"text": text}, ensure_ascii=False)


def task_own(clock_ms: Callable[[], int] = lambda: 1_000) -> dict[str, Handler]:
    return {
        "task.now": lambda: str(clock_ms()),
        "task.progress": lambda _text: "",
        "task.is-cancelled": lambda: "false",
    }


@dataclass
class Journal:
    entries: list[tuple[str, str]] = field(default_factory=list)

    def handlers(self) -> dict[str, Handler]:
        return {"journal.append": self.append, "journal.read": self.read}

    def append(self, tag: str, text: str) -> str:
        self.entries.append((tag, text))
        return json.dumps({"id": f"entry-{len(self.entries)}"})

    def read(self, _after: str, limit: int) -> str:
        entries = [{"tag": tag, "text": text} for tag, text in self.entries[:limit]]
        return json.dumps({"entries": entries, "next": None})


@dataclass
class Mesh:
    """`a2a` to agents that answer when they are waited for; None never answers."""

    agents: Mapping[str, Callable[[str], str] | None]
    sent: list[tuple[str, str]] = field(default_factory=list)
    waited: set[str] = field(default_factory=set)
    cancelled: list[str] = field(default_factory=list)
    clock_ms: int = 1_000

    def handlers(self) -> dict[str, Handler]:
        return {
            "a2a.send": self.send,
            "a2a.wait": self.wait,
            "a2a.cancel": self.cancel,
            **task_own(lambda: self.clock_ms),
        }

    def send(self, target: str, parts: str) -> str:
        if target not in self.agents:
            raise Refusal("not-allowed", f"{target} is not in [agents.peers] allowed")
        self.sent.append((target, json.loads(parts)[0]["text"]))
        return f"{len(self.sent) - 1:064x}"

    def wait(self, ids: str, timeout_ms: int) -> str:
        # The last that was asked is the first to answer: order must not matter.
        for id in reversed(json.loads(ids)):
            assert id not in self.waited
            target, text = self.sent[int(id, 16)]
            agent = self.agents[target]
            if agent is not None:
                self.waited.add(id)
                return json.dumps({"id": id, **self._ended(agent, text)}, ensure_ascii=False)
        self.clock_ms += timeout_ms
        return "null"

    def _ended(self, agent: Callable[[str], str], text: str) -> dict[str, object]:
        try:
            parts = [{"text": agent(text)}]
        except AgentFailed as failed:
            why = {"parts": [{"text": str(failed)}], "role": "ROLE_AGENT"}
            return {"status": {"state": FAILED, "message": why}}
        return {"status": {"state": COMPLETED}, "artifacts": [{"artifactId": "1", "parts": parts}]}

    def cancel(self, id: str) -> str:
        self.cancelled.append(id)
        return ""


def reader_on(shelf: Shelf, component: Agent) -> Callable[[str], str]:
    """An agent that answers with what the reader says of this shelf."""

    def answer(text: str) -> str:
        [answered] = Host({**shelf.handlers(), **task_own()}).run(component, text)
        return answered

    return answer
