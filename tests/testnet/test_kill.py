"""Promise 3 with real processes: no task is lost and none is done twice, whoever is killed when."""

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

from akshi_mesh.api.errors import Unavailable
from akshi_mesh.api.shapes import TaskCounts
from testnet.agents import agent, mesh_journal
from tests.testnet.pair import GONE_S, Pair, Site, conserved, wait_until

TASKS = 300
KILLS = 20
TASKS_A_ROUND = 15
LIFE_S = 0.5  # at most, from when a round begins until its victims die
PAUSE_S = 0.01
SETTLED_S = 60.0
ALL = 1_000
SEED = "KILL_SEED"


class Sender(threading.Thread):
    """Gives node A tasks, and looks at its accounts, however often A dies meanwhile."""

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self._site = site
        self.due = 0
        self.ids: dict[str, str] = {}
        self.polls = 0
        self.unbalanced: list[TaskCounts] = []

    def run(self) -> None:
        while len(self.ids) < TASKS:
            client = self._site.node.client
            try:
                if len(self.ids) < self.due:
                    text = f"task {len(self.ids)}"
                    # The same message id is the same task: what was cut off is asked again.
                    self.ids[text] = client.task_send("b/scribe", text, message_id=text)["id"]
                else:
                    time.sleep(PAUSE_S)
                tasks = client.status()["tasks"]
            except Unavailable:
                time.sleep(PAUSE_S)
                continue
            self.polls += 1
            if not conserved(tasks):
                self.unbalanced.append(tasks)


def test_each_task_is_done_once_though_both_nodes_are_killed_again_and_again(
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    print(f"the same schedule again: {SEED}={seed}")
    scribe = mesh_journal("scribe") + agent("scribe", capabilities=["journal"])
    pair = Pair.create(tmp_path, of_a="", of_b=scribe)
    with pair.running():
        sender = Sender(pair.a)
        sender.start()
        kills = _kill_again_and_again(pair, sender, random.Random(seed))
        a, b = pair.a.node.client, pair.b.node.client
        wait_until(lambda: _all_final(pair), SETTLED_S, "end of the tasks")

        assert kills >= KILLS
        assert sender.polls >= KILLS
        assert sender.unbalanced == []
        states = Counter(task["state"] for task in a.task_list(limit=ALL))
        assert states == {"TASK_STATE_COMPLETED": TASKS}
        entries = b.journal_read("scribe", limit=ALL)["entries"]
        assert {entry["text"]: entry["task_id"] for entry in entries} == sender.ids
        assert len(entries) == len({entry["task_id"] for entry in entries}) == TASKS
        tasks = a.status()["tasks"]
        assert tasks["acknowledged"] == tasks["sent"] == TASKS
        assert a.fsck()["ok"]
        assert b.fsck()["ok"]
    assert pair.b.family, "there were zygotes and workers to leave behind"
    wait_until(lambda: not pair.survivors(), GONE_S, "end of the orphans")


def _kill_again_and_again(pair: Pair, sender: Sender, chance: random.Random) -> int:
    """Kill one or both, at any moment of their lives, until all tasks are sent."""
    kills = 0
    while sender.is_alive():
        sender.due += TASKS_A_ROUND
        time.sleep(chance.uniform(0, LIFE_S))
        victims = chance.choice(([pair.a], [pair.b], [pair.a, pair.b]))
        for site in victims:
            site.crash()
        kills += len(victims)
        for site in victims:
            site.start()
        # Half of the time they are hit again as they start; else while they work.
        if chance.random() < 1 / 2:
            for site in victims:
                site.node.wait_ready()
    for site in (pair.a, pair.b):
        site.wait_ready()
    return kills


def _all_final(pair: Pair) -> bool:
    tasks = pair.a.node.client.task_list(limit=ALL)
    return all(task["final"] for task in tasks)
