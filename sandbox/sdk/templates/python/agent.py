"""Counts the words of a task, and notes the task in the journal if it may."""

import akshi


def answer(task: akshi.Task) -> str:
    words = task.text.split()
    if not words:
        raise akshi.GiveUp("the message has no words")
    try:
        entry = akshi.journal.append("task", task.text)
    except akshi.Fault as fault:  # what is not granted is answered, not fatal
        return f"{len(words)} words, not noted: {fault.code}"
    return f"{len(words)} words, noted as {entry}"


WitWorld = akshi.agent(answer)
