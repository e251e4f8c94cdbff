//! What an agent in Rust needs: every host function of a node, with Rust's own types.
//!
//!     fn answer(task: &Task) -> Result<String, Fault> {
//!         akshi::journal::append("seen", &task.text)
//!     }
//!     akshi::agent!(answer);
//!
//! docs/spec/agent-abi.md says what each does. What the node refuses is a `Fault`: match it and go
//! on, or let `?` end the task. There is no clock and no randomness: use `task::now`, `task::random`.
#![allow(dead_code)]

#[path = "border.rs"]
pub mod border;
#[path = "json.rs"]
pub mod json;
#[path = "outside.rs"]
mod outside;

pub use json::Json;
pub use outside::{a2a, filesystem, http, mcp, spend, task};
use std::fmt;

/// The codes of docs/spec/agent-abi.md, in its order; the last one is the agent's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    CapabilityDenied,
    ApprovalDenied,
    ApprovalTimeout,
    NotAllowed,
    BudgetExceeded,
    RateLimited,
    Invalid,
    Unavailable,
    Unknown,
    Cancelled,
    GaveUp,
}

const CODES: [(Code, &str); 10] = [
    (Code::CapabilityDenied, "capability-denied"),
    (Code::ApprovalDenied, "approval-denied"),
    (Code::ApprovalTimeout, "approval-timeout"),
    (Code::NotAllowed, "not-allowed"),
    (Code::BudgetExceeded, "budget-exceeded"),
    (Code::RateLimited, "rate-limited"),
    (Code::Invalid, "invalid"),
    (Code::Unavailable, "unavailable"),
    (Code::Unknown, "unknown"),
    (Code::Cancelled, "cancelled"),
];

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = CODES.iter().find(|(code, _)| code == self);
        out.write_str(named.map_or("gave-up", |(_, name)| name))
    }
}

/// The node did not do it, or the agent gives up; `why` is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: Code,
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Code::GaveUp => out.write_str(&self.why),
            code => write!(out, "{code}: {}", self.why),
        }
    }
}

impl std::error::Error for Fault {}

/// Ends the task as failed: `return Err(give_up("no words"))`. Its sender reads `why`.
pub fn give_up(why: impl Into<String>) -> Fault {
    Fault { code: Code::GaveUp, why: why.into() }
}

pub type Answer<T> = Result<T, Fault>;

/// The task as the node handed it over.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: String,
    pub sender: String,
    /// The text parts, joined by line feeds.
    pub text: String,
    /// A2A 1.0 parts.
    pub parts: Vec<Json>,
}

/// What `agent!` exports: a task's JSON in, the parts' JSON or a reason out.
pub fn enter(json: &str, answer: fn(&Task) -> Answer<String>) -> Result<String, String> {
    let given = Json::parse(json).ok_or("the task is not JSON")?;
    let parts = given.get("message").get("parts");
    let task = Task {
        id: given.get("id").words(),
        sender: given.get("from").words(),
        text: joined(parts),
        parts: parts.items().to_vec(),
    };
    answer(&task).map(|text| part(&text)).map_err(|fault| fault.to_string())
}

/// Ask a language model.
pub mod inference {
    use super::*;

    /// `model` and `max_tokens`: None for what the route says.
    #[derive(Clone, Debug, Default)]
    pub struct Question<'a> {
        pub prompt: &'a str,
        pub model: Option<&'a str>,
        pub max_tokens: Option<u32>,
    }

    #[derive(Clone, Debug)]
    pub struct Reply {
        pub text: String,
        pub model: String,
        pub finish: String,
        pub tokens_in: Option<i64>,
        pub tokens_out: Option<i64>,
        /// None where nothing is paid.
        pub cost: Option<String>,
    }

    pub fn prompt(question: &Question) -> Answer<Reply> {
        let mut request = vec![("prompt", Json::text(question.prompt))];
        request.extend(question.model.map(|model| ("model", Json::text(model))));
        request.extend(question.max_tokens.map(|count| ("max_tokens", Json::number(count))));
        let answer = read(border::prompt(&Json::object(request).to_string())?)?;
        Ok(Reply {
            text: answer.get("text").words(),
            model: answer.get("model").words(),
            finish: answer.get("finish").words(),
            tokens_in: answer.get("usage").get("tokens_in").whole(),
            tokens_out: answer.get("usage").get("tokens_out").whole(),
            cost: answer.get("cost").as_text().map(str::to_string),
        })
    }
}

/// The agent's own append-only journal.
pub mod journal {
    use super::*;

    /// `author` and `at_ms` are None while it is staged, `score` where nothing was searched.
    #[derive(Clone, Debug)]
    pub struct Entry {
        pub id: String,
        pub tag: String,
        pub text: String,
        pub originator: String,
        pub author: Option<String>,
        pub at_ms: Option<i64>,
        pub score: Option<f64>,
    }

    /// Returns the entry's id. Others see it when the task has ended well.
    pub fn append(tag: &str, text: &str) -> Answer<String> {
        Ok(read(border::append(tag, text)?)?.get("id").words())
    }

    /// Entries in order, and where to go on: None at the end.
    pub fn read_on(after: &str, limit: u32) -> Answer<(Vec<Entry>, Option<String>)> {
        let answer = read(border::read(after, limit)?)?;
        Ok((entries(&answer), answer.get("next").as_text().map(str::to_string)))
    }

    /// By keyword, best first.
    pub fn search(query: &str, limit: u32) -> Answer<Vec<Entry>> {
        Ok(entries(&read(border::search(query, limit)?)?))
    }

    /// `mode`: keyword, vector or hybrid.
    pub fn find(query: &str, mode: &str, limit: u32) -> Answer<Vec<Entry>> {
        let request = Json::object([
            ("query", Json::text(query)),
            ("mode", Json::text(mode)),
            ("limit", Json::number(limit)),
        ]);
        Ok(entries(&read(border::find(&request.to_string())?)?))
    }

    fn entries(answer: &Json) -> Vec<Entry> {
        let entry = |one: &Json| Entry {
            id: one.get("id").words(),
            tag: one.get("tag").words(),
            text: one.get("text").words(),
            originator: one.get("originator").words(),
            author: one.get("author").as_text().map(str::to_string),
            at_ms: one.get("at_ms").whole(),
            score: one.get("score").real(),
        };
        answer.get("entries").items().iter().map(entry).collect()
    }
}

/// The agent's own SQLite database; what a task changes commits when it ends well.
pub mod database {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    pub enum Value {
        Null,
        Integer(i64),
        Real(f64),
        Text(String),
        Bytes(Vec<u8>),
    }

    /// `changes` and `last_row_id` are 0 after a query.
    #[derive(Clone, Debug)]
    pub struct Rows {
        pub columns: Vec<String>,
        pub rows: Vec<Vec<Value>>,
        pub changes: i64,
        pub last_row_id: i64,
    }

    pub fn query(sql: &str, parameters: &[Value]) -> Answer<Rows> {
        rows(border::query(sql, &list(parameters))?)
    }

    pub fn execute(sql: &str, parameters: &[Value]) -> Answer<Rows> {
        rows(border::execute(sql, &list(parameters))?)
    }

    fn list(parameters: &[Value]) -> String {
        let one = |value: &Value| match value {
            Value::Null => Json::Null,
            Value::Integer(number) => Json::number(number),
            Value::Real(number) => Json::Number(format!("{number:?}")), // 1.0, not 1
            Value::Text(text) => Json::text(text),
            Value::Bytes(bytes) => Json::object([("base64", Json::text(to_base64(bytes)))]),
        };
        Json::Array(parameters.iter().map(one).collect()).to_string()
    }

    fn rows(answer: String) -> Answer<Rows> {
        let answer = read(answer)?;
        let value = |json: &Json| match json {
            Json::Null => Value::Null,
            Json::Bool(is_true) => Value::Integer((*is_true).into()),
            Json::Text(text) => Value::Text(text.clone()),
            Json::Number(_) => match json.whole() {
                Some(number) => Value::Integer(number),
                None => Value::Real(json.real().unwrap_or_default()),
            },
            _ => Value::Bytes(from_base64(&json.get("base64").words())),
        };
        Ok(Rows {
            columns: answer.get("columns").items().iter().map(Json::words).collect(),
            rows: (answer.get("rows").items().iter())
                .map(|row| row.items().iter().map(value).collect())
                .collect(),
            changes: answer.get("changes").whole().unwrap_or_default(),
            last_row_id: answer.get("last_row_id").whole().unwrap_or_default(),
        })
    }
}

fn read(answer: String) -> Answer<Json> {
    Json::parse(&answer).ok_or_else(|| give_up("the node answered something that is not JSON"))
}

fn joined(parts: &Json) -> String {
    let texts: Vec<&str> = parts.items().iter().filter_map(|part| part.get("text").as_text()).collect();
    texts.join("\n")
}

fn part(text: &str) -> String {
    Json::Array(vec![Json::object([("text", Json::text(text))])]).to_string()
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize] as char;
            text.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

pub fn from_base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut kept) = (Vec::new(), 0u32, 0);
    for letter in text.bytes() {
        let digit = match DIGITS.iter().position(|digit| *digit == letter) {
            Some(digit) => digit as u32,
            None => break, // the padding
        };
        bits = bits << 6 | digit;
        kept += 6;
        if kept >= 8 {
            kept -= 8;
            bytes.push((bits >> kept) as u8);
        }
    }
    bytes
}
