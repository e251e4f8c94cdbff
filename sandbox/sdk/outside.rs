//! What an agent reaches: the web, other agents, tools, files, money; and its own task.

use super::{border, from_base64, give_up, joined, part, read, to_base64, Answer, Json};

/// One outbound HTTP request.
pub mod http {
    use super::*;

    /// What is not said is left to the node: `..Request::get(url)`.
    #[derive(Clone, Debug, Default)]
    pub struct Request<'a> {
        pub url: &'a str,
        pub method: &'a str,
        pub headers: Vec<(String, String)>,
        pub body: Option<Vec<u8>>,
        pub timeout_ms: Option<u32>,
        pub payment: Option<&'a str>,
    }

    impl<'a> Request<'a> {
        pub fn get(url: &'a str) -> Self {
            Request { url, method: "GET", ..Request::default() }
        }
    }

    /// Names of headers are in lower case.
    #[derive(Clone, Debug)]
    pub struct Response {
        pub status: i64,
        pub headers: Vec<(String, String)>,
        pub body: Vec<u8>,
        pub url: String,
        /// Null, or what the node could pay.
        pub payment_required: Json,
    }

    pub fn fetch(request: &Request) -> Answer<Response> {
        let mut asked = vec![("url", Json::text(request.url)), ("method", Json::text(request.method))];
        if !request.headers.is_empty() {
            let header = |(name, value): &(String, String)| (name.clone(), Json::text(value));
            asked.push(("headers", Json::Object(request.headers.iter().map(header).collect())));
        }
        asked.extend(request.body.as_ref().map(|body| ("body_base64", Json::text(to_base64(body)))));
        asked.extend(request.timeout_ms.map(|ms| ("timeout_ms", Json::number(ms))));
        asked.extend(request.payment.map(|payment| ("payment", Json::text(payment))));
        let answer = read(border::fetch(&Json::object(asked).to_string())?)?;
        let header = |(name, value): &(String, Json)| (name.clone(), value.words());
        Ok(Response {
            status: answer.get("status").whole().unwrap_or_default(),
            headers: answer.get("headers").members().iter().map(header).collect(),
            body: bytes(&answer, "body", "body_base64"),
            url: answer.get("url").words(),
            payment_required: answer.get("payment_required").clone(),
        })
    }
}

/// Tasks for other agents, on this node or another.
pub mod a2a {
    use super::*;

    /// `why` is what its status says in words.
    #[derive(Clone, Debug)]
    pub struct Ended {
        pub id: String,
        pub state: String,
        pub completed: bool,
        pub text: String,
        pub parts: Vec<Json>,
        pub why: String,
    }

    /// `target`: did:key:…/agent, petname/agent or self/agent. Returns the new task's id.
    pub fn send(target: &str, message: &str) -> Answer<String> {
        border::send(target, &part(message))
    }

    /// The first of these tasks that has ended; None when time is up.
    pub fn wait(ids: &[String], timeout_ms: u32) -> Answer<Option<Ended>> {
        let ids = Json::Array(ids.iter().map(Json::text).collect());
        let task = read(border::wait(&ids.to_string(), timeout_ms)?)?;
        if task == Json::Null {
            return Ok(None);
        }
        let status = task.get("status");
        let parts = task.get("artifacts").items().first().map_or(&Json::Null, |one| one.get("parts"));
        Ok(Some(Ended {
            id: task.get("id").words(),
            state: status.get("state").words(),
            completed: status.get("state").as_text() == Some("TASK_STATE_COMPLETED"),
            text: joined(parts),
            parts: parts.items().to_vec(),
            why: joined(status.get("message").get("parts")),
        }))
    }

    pub fn cancel(id: &str) -> Answer<()> {
        border::cancel(id).map(|_| ())
    }
}

/// Tools of MCP servers.
pub mod mcp {
    use super::*;

    #[derive(Clone, Debug)]
    pub struct Tools {
        pub tools: Vec<Json>,
        pub refused: Vec<Json>,
    }

    /// `is_error`: the tool was called, and says that it failed.
    #[derive(Clone, Debug)]
    pub struct ToolAnswer {
        pub text: String,
        pub content: Vec<Json>,
        pub is_error: bool,
        pub structured: Json,
    }

    pub fn list_tools(server: &str) -> Answer<Tools> {
        let answer = read(border::list_tools(server)?)?;
        let list = |name| answer.get(name).items().to_vec();
        Ok(Tools { tools: list("tools"), refused: list("refused") })
    }

    pub fn call_tool(server: &str, tool: &str, arguments: &Json) -> Answer<ToolAnswer> {
        let answer = read(border::call_tool(server, tool, &arguments.to_string())?)?;
        Ok(ToolAnswer {
            text: joined(answer.get("content")),
            content: answer.get("content").items().to_vec(),
            is_error: answer.get("isError").is_true(),
            structured: answer.get("structuredContent").clone(),
        })
    }
}

/// Read files below the allowed paths.
pub mod filesystem {
    use super::*;

    #[derive(Clone, Debug)]
    pub struct File {
        pub name: String,
        pub is_directory: bool,
        pub bytes: i64,
    }

    /// One directory, and the name after which to go on; the empty path lists the shelves.
    pub fn list_files(path: &str, after: &str, limit: u32) -> Answer<(Vec<File>, Option<String>)> {
        let answer = read(border::list_files(path, after, limit)?)?;
        let file = |one: &Json| File {
            name: one.get("name").words(),
            is_directory: one.get("kind").as_text() == Some("directory"),
            bytes: one.get("bytes").whole().unwrap_or_default(),
        };
        let files = answer.get("files").items().iter().map(file).collect();
        Ok((files, answer.get("next").as_text().map(str::to_string)))
    }

    pub fn read_file(path: &str) -> Answer<Vec<u8>> {
        Ok(bytes(&read(border::read_file(path)?)?, "text", "base64"))
    }
}

/// Money, in integer micro-units. Answers are as docs/spec/agent-abi.md shows them.
pub mod spend {
    use super::*;

    #[derive(Clone, Debug, Default)]
    pub struct Charge<'a> {
        pub amount_micros: i64,
        pub currency: &'a str,
        pub rail: &'a str,
        pub payee: &'a str,
        pub memo: Option<&'a str>,
        pub challenge: Option<&'a str>,
    }

    #[derive(Clone, Debug)]
    pub struct Payment {
        pub payment: String,
        pub state: String,
        pub has_proof: bool,
    }

    pub fn balance() -> Answer<Json> {
        read(border::balance()?)
    }

    pub fn quote(charge: &Charge) -> Answer<Json> {
        read(border::quote(&written(charge))?)
    }

    pub fn charge(charge: &Charge) -> Answer<Payment> {
        let answer = read(border::charge(&written(charge))?)?;
        Ok(Payment {
            payment: answer.get("payment").words(),
            state: answer.get("state").words(),
            has_proof: answer.get("has_proof").is_true(),
        })
    }

    fn written(charge: &Charge) -> String {
        let mut asked = vec![
            ("amount_micros", Json::number(charge.amount_micros)),
            ("currency", Json::text(charge.currency)),
            ("rail", Json::text(charge.rail)),
            ("payee", Json::text(charge.payee)),
        ];
        asked.extend(charge.memo.map(|memo| ("memo", Json::text(memo))));
        asked.extend(charge.challenge.map(|one| ("challenge", Json::text(one))));
        Json::object(asked).to_string()
    }
}

/// The task itself: reaches nothing but the task, always allowed.
pub mod task {
    use super::*;

    pub fn progress(text: &str) -> Answer<()> {
        border::progress(text).map(|_| ())
    }

    pub fn is_cancelled() -> Answer<bool> {
        Ok(border::is_cancelled()? == "true")
    }

    /// `level`: debug, info, warning or error.
    pub fn log(level: &str, text: &str) -> Answer<()> {
        border::log(level, text).map(|_| ())
    }

    /// Milliseconds since 1970; the same in every attempt of a task.
    pub fn now() -> Answer<i64> {
        border::now()?.parse().map_err(|_| give_up("the node told no time"))
    }

    pub fn random(count: u32) -> Answer<Vec<u8>> {
        let digits = border::random(count)?;
        let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        bytes.ok_or_else(|| give_up("the node drew no bytes"))
    }
}

fn bytes(answer: &Json, text: &str, encoded: &str) -> Vec<u8> {
    match answer.get(encoded).as_text() {
        Some(encoded) => from_base64(encoded),
        None => answer.get(text).words().into_bytes(),
    }
}
