/** The JavaScript SDK against answers as docs/spec/agent-abi.md has them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const sdk = pathToFileURL(`${process.env.AKSHI_SDK}/`);
const { ask, host, load, refusal } = await import(new URL("akshi_testing.js", sdk));
const akshi = await load(new URL("akshi.js", sdk));
const { a2a, database, filesystem, http, inference, journal, mcp, spend, task } = akshi;

const FF = Uint8Array.of(255);
const CHARGE = { amount_micros: 500000, currency: "EUR", rail: "ledger", payee: "shop" };
const ENDED = {
  id: "e3",
  status: { state: "TASK_STATE_FAILED", message: { parts: [{ text: "no" }] } },
  artifacts: [{ parts: [{ text: "one" }, { text: "two" }] }],
};
const ROWS = { columns: ["a"], rows: [[{ base64: "/w==" }]] };

// function, the call, what crosses, what comes back, what the agent gets
const cases = [
  ["inference.prompt", () => inference.prompt("hi", { max_tokens: 3 }), [{ prompt: "hi", max_tokens: 3 }], { text: "ho" }, { text: "ho" }],
  ["journal.append", () => journal.append("t", "x"), ["t", "x"], { id: "9" }, "9"],
  ["journal.read", () => journal.read("c", 2), ["c", 2], { entries: [], next: null }, { entries: [], next: null }],
  ["journal.search", () => journal.search("q", 3), ["q", 3], { entries: [1] }, [1]],
  ["journal.find", () => journal.find("q", "vector", 4), [{ query: "q", mode: "vector", limit: 4 }], { entries: [] }, []],
  ["database.query", () => database.query("select ?", FF), ["select ?", [{ base64: "/w==" }]], ROWS, { columns: ["a"], rows: [[FF]] }],
  ["database.execute", () => database.execute("x", null, 1), ["x", [null, 1]], { changes: 2, last_row_id: 7 }, { columns: [], changes: 2, last_row_id: 7, rows: [] }],
  ["http-fetch.fetch", () => http.fetch("https://a.org/", { method: "POST", body: FF }), [{ url: "https://a.org/", method: "POST", body_base64: "/w==" }], { status: 200, headers: {}, url: "u", body_base64: "/w==" }, { status: 200, headers: {}, url: "u", text: null, bytes: FF }],
  ["a2a.send", () => a2a.send("self/b", "hi"), ["self/b", [{ text: "hi" }]], "e3", "e3"],
  ["a2a.wait", () => a2a.wait(["e3"], 50), [["e3"], 50], ENDED, { id: "e3", state: "TASK_STATE_FAILED", completed: false, parts: [{ text: "one" }, { text: "two" }], text: "one\ntwo", why: "no" }],
  ["a2a.wait", () => a2a.wait([], 0), [[], 0], null, null],
  ["a2a.cancel", () => a2a.cancel("e3"), ["e3"], "", undefined],
  ["mcp.list-tools", () => mcp.listTools("s"), ["s"], { tools: [], refused: [] }, { tools: [], refused: [] }],
  ["mcp.call-tool", () => mcp.callTool("s", "t", { page: 3 }), ["s", "t", { page: 3 }], { content: [], isError: true }, { content: [], isError: true }],
  ["filesystem.list-files", () => filesystem.listFiles("/s", "a", 2), ["/s", "a", 2], { files: [], next: null }, { files: [], next: null }],
  ["filesystem.read-file", () => filesystem.readFile("/s/b"), ["/s/b"], { base64: "/w==" }, FF],
  ["filesystem.read-file", () => filesystem.readFile("/s/b"), ["/s/b"], { text: "ü" }, "ü"],
  ["spend.balance", () => spend.balance(), [], { left_micros: 1 }, { left_micros: 1 }],
  ["spend.quote", () => spend.quote(CHARGE), [CHARGE], { allowed: true }, { allowed: true }],
  ["spend.charge", () => spend.charge(CHARGE), [CHARGE], { payment: "9f" }, { payment: "9f" }],
  ["task.progress", () => task.progress("half"), ["half"], "", undefined],
  ["task.is-cancelled", () => task.isCancelled(), [], "true", true],
  ["task.log", () => task.log("info", "x"), ["info", "x"], "", undefined],
  ["task.now", () => task.now(), [], "1795324444689", 1795324444689],
  ["task.random", () => task.random(2), [2], "00ff", Uint8Array.of(0, 255)],
];
const crossed = (one) => (typeof one === "string" && /^[[{]/.test(one) ? JSON.parse(one) : one);

for (const [name, call, sent, answer, got] of cases) {
  test(name, () => {
    const calls = host({ [name]: () => (typeof answer === "string" ? answer : JSON.stringify(answer)) });
    assert.deepEqual(call(), got);
    const [[called, ...args]] = calls;
    assert.equal(called, name);
    assert.deepEqual(args.map(crossed), sent);
  });
}

test("base64, there and back", () => {
  for (const [bytes, text] of [["", ""], ["f", "Zg=="], ["fo", "Zm8="], ["foo", "Zm9v"]]) {
    const raw = new TextEncoder().encode(bytes);
    assert.equal(akshi.toBase64(raw), text);
    assert.deepEqual(akshi.fromBase64(text), raw);
  }
});

test("a fault has its code and reason, and fails the task that lets it pass", () => {
  host({ "spend.balance": () => { throw refusal("budget-exceeded", "daily cap"); } });
  const fault = { name: "Fault", code: "budget-exceeded", why: "daily cap" };
  assert.throws(() => spend.balance(), fault);
  assert.throws(() => ask(akshi.agent(() => spend.balance()), "x"), /^Fault: budget-exceeded: daily cap/);
});
