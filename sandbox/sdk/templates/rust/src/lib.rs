//! Counts the words of a task, and notes the task in the journal if it may.

#[path = "../sdk/akshi.rs"]
mod akshi;

use akshi::{give_up, journal, Fault, Task};

fn answer(task: &Task) -> Result<String, Fault> {
    let words = task.text.split_whitespace().count();
    if words == 0 {
        return Err(give_up("the message has no words"));
    }
    Ok(match journal::append("task", &task.text) {
        Ok(entry) => format!("{words} words, noted as {entry}"),
        Err(fault) => format!("{words} words, not noted: {}", fault.code), // not fatal
    })
}

agent!(answer);

/// The agent without a node: `play` is the host.
#[cfg(test)]
mod tests {
    use super::akshi::border::{ask, denied, play};
    use super::answer;

    #[test]
    fn it_counts_and_notes() {
        play(|name, texts, _| {
            assert_eq!((name, texts), ("journal.append", &["task", "to be"][..]));
            Ok(r#"{"id": "1"}"#.into())
        });
        assert_eq!(ask(answer, "to be"), Ok("2 words, noted as 1".into()));
    }

    #[test]
    fn a_refusal_is_not_fatal() {
        play(|_, _, _| Err(denied()));
        assert_eq!(ask(answer, "to be"), Ok("2 words, not noted: capability-denied".into()));
    }

    #[test]
    fn an_empty_message_fails_the_task() {
        assert_eq!(ask(answer, " "), Err("the message has no words".into()));
    }
}
