//! The Rust SDK against answers as docs/spec/agent-abi.md has them; the SDK stands beside.
mod akshi;

use akshi::border::{ask, play};
use akshi::database::Value;
use akshi::*;
use std::cell::RefCell;
use std::rc::Rc;

type Calls = Rc<RefCell<Vec<(String, Vec<String>, Option<u32>)>>>;

fn says(answer: &'static str) -> Calls {
    let calls = Calls::default();
    let kept = calls.clone();
    play(move |name, texts, number| {
        let texts = texts.iter().map(|text| text.to_string()).collect();
        kept.borrow_mut().push((name.to_string(), texts, number));
        Ok(answer.to_string())
    });
    calls
}

fn sent(calls: &Calls, name: &str, texts: &[&str], number: Option<u32>) {
    let texts = texts.iter().map(|text| text.to_string()).collect();
    assert_eq!(calls.borrow().last(), Some(&(name.to_string(), texts, number)));
}

#[test]
fn json() {
    let text = r#" { "aA" : [ 1 , {"b":"}\"\u00fc\ud83d\ude00"} , [] , null, true ] , "c" : -12 } "#;
    let json = Json::parse(text).unwrap();
    assert_eq!(json.get("aA").items()[1].get("b").as_text(), Some("}\"ü😀"));
    assert_eq!(json.get("c").whole(), Some(-12));
    assert_eq!(Json::parse(&json.to_string()), Some(json));
    for bad in ["", "{", "[1,]", "\"\\ud800\"", "nul", "1 2", "{\"a\"}", "\"\u{1}\"", "-"] {
        assert_eq!(Json::parse(bad), None, "{bad}");
    }
    assert_eq!(Json::parse(&"[".repeat(100_000)), None);
    assert_eq!(Json::text("\u{1}\"\\").to_string(), r#""\u0001\"\\""#);
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
        assert_eq!(to_base64(bytes.as_bytes()), text);
        assert_eq!(from_base64(text), bytes.as_bytes());
    }
}

#[test]
fn what_is_kept() {
    let calls = says(r#"{"text":"ho","usage":{"tokens_in":3,"tokens_out":null},"cost":null}"#);
    let question = inference::Question { prompt: "hi", max_tokens: Some(3), model: None };
    let reply = inference::prompt(&question).unwrap();
    sent(&calls, "inference.prompt", &[r#"{"prompt":"hi","max_tokens":3}"#], None);
    assert_eq!((reply.tokens_in, reply.tokens_out, reply.cost), (Some(3), None, None));

    let calls = says(r#"{"entries":[{"id":"1","score":1.5,"at_ms":5}],"next":"c"}"#);
    let found = journal::find("q", "vector", 4).unwrap();
    sent(&calls, "journal.find", &[r#"{"query":"q","mode":"vector","limit":4}"#], None);
    assert_eq!((found[0].score, found[0].at_ms), (Some(1.5), Some(5)));
    assert_eq!(journal::read_on("", 2).unwrap().1, Some("c".to_string()));
    sent(&calls, "journal.read", &[""], Some(2));
    assert_eq!(journal::search("q", 2).unwrap().len(), 1);

    let calls = says(r#"{"columns":["a","b"],"rows":[[1,"x"],[null,{"base64":"/w=="}],[2.5,""]]}"#);
    let values = [Value::Null, Value::Integer(-5), Value::Real(1.0), Value::Bytes(vec![255])];
    let rows = database::query("select", &values).unwrap();
    sent(&calls, "database.query", &["select", r#"[null,-5,1.0,{"base64":"/w=="}]"#], None);
    assert_eq!(rows.rows[1], [Value::Null, Value::Bytes(vec![255])]);
    assert_eq!(rows.rows[2][0], Value::Real(2.5));
    says(r#"{"changes":2,"last_row_id":7}"#);
    assert_eq!(database::execute("delete", &[]).unwrap().last_row_id, 7);
}

#[test]
fn what_is_reached() {
    let calls = says(r#"{"status":402,"headers":{"x":"1"},"body_base64":"/w==","url":"u"}"#);
    let request = http::Request { body: Some(vec![255]), ..http::Request::get("https://a.org/") };
    let response = http::fetch(&request).unwrap();
    let crossed = r#"{"url":"https://a.org/","method":"GET","body_base64":"/w=="}"#;
    sent(&calls, "http-fetch.fetch", &[crossed], None);
    assert_eq!((response.status, response.body), (402, vec![255]));

    let calls = says(r#"{"id":"e3","status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[{"parts":[{"text":"a"}]}]}"#);
    let ended = a2a::wait(&["e3".to_string()], 50).unwrap().unwrap();
    sent(&calls, "a2a.wait", &[r#"["e3"]"#], Some(50));
    assert!(ended.completed && ended.text == "a");
    says("null");
    assert!(a2a::wait(&[], 0).unwrap().is_none());
    let calls = says("e3");
    assert_eq!(a2a::send("self/b", "hi").unwrap(), "e3");
    sent(&calls, "a2a.send", &["self/b", r#"[{"text":"hi"}]"#], None);
    a2a::cancel("e3").unwrap();

    let calls = says(r#"{"content":[{"text":"x"}],"isError":true,"tools":[1],"refused":[]}"#);
    assert!(mcp::call_tool("s", "t", &Json::object([])).unwrap().is_error);
    sent(&calls, "mcp.call-tool", &["s", "t", "{}"], None);
    assert_eq!(mcp::list_tools("s").unwrap().tools.len(), 1);

    says(r#"{"files":[{"name":"b","kind":"directory","bytes":0}],"next":null,"text":"ü"}"#);
    assert!(filesystem::list_files("/s", "a", 2).unwrap().0[0].is_directory);
    assert_eq!(filesystem::read_file("/s/b").unwrap(), "ü".as_bytes());

    let calls = says(r#"{"payment":"9f","state":"paid","has_proof":true,"allowed":true}"#);
    let charge = spend::Charge { amount_micros: 5, currency: "EUR", rail: "r", payee: "p", ..Default::default() };
    assert!(spend::charge(&charge).unwrap().has_proof);
    let crossed = r#"{"amount_micros":5,"currency":"EUR","rail":"r","payee":"p"}"#;
    sent(&calls, "spend.charge", &[crossed], None);
    assert!(spend::quote(&charge).unwrap().get("allowed").is_true());
    assert!(spend::balance().is_ok());
}

#[test]
fn the_task() {
    says("00ff");
    assert_eq!(task::random(2).unwrap(), [0, 255]);
    says("1795324444689");
    assert_eq!(task::now().unwrap(), 1795324444689);
    says("true");
    assert!(task::is_cancelled().unwrap());
    task::progress("half").unwrap();
    task::log("info", "x").unwrap();
    play(|_, _, _| Err(Fault { code: Code::BudgetExceeded, why: "daily cap".into() }));
    assert_eq!(ask(|_| spend::balance().map(|_| String::new()), "x"), Err("budget-exceeded: daily cap".into()));
}
