/**
 * Test an agent without a node: handlers answer its calls, and the calls are kept.
 *
 *     const { run } = await load(new URL("./agent.js", import.meta.url));
 *     const calls = host({ "journal.append": (tag, text) => '{"id":"1"}' });
 *     assert.equal(ask(run, "hello"), "…");
 *
 * A function that has no handler was not granted: the agent meets the fault capability-denied.
 */
import { register } from "node:module";

const FUNCTIONS = {
  inference: ["prompt"],
  journal: ["append", "read", "search", "find"],
  database: ["query", "execute"],
  "http-fetch": ["fetch"],
  a2a: ["send", "wait", "cancel"],
  mcp: ["list-tools", "call-tool"],
  filesystem: ["list-files", "read-file"],
  spend: ["balance", "quote", "charge"],
  task: ["progress", "is-cancelled", "log", "now", "random"],
};

let handlers = {};
let calls = [];

/** From here on these handlers answer; returns the calls to come, as [name, ...arguments]. */
export function host(given = {}) {
  handlers = given;
  calls = [];
  return calls;
}

/** What a handler throws so that the agent meets a fault with this code. */
export function refusal(code, why = "") {
  return Object.assign(new Error(code), { payload: { code, why } });
}

/** The text of the agent's answer to one message. */
export function ask(run, text, sender = "did:key:zTest") {
  const message = { messageId: "m-1", role: "ROLE_USER", parts: [{ text }] };
  const answer = run(JSON.stringify({ id: "00".repeat(32), from: sender, message }));
  return JSON.parse(answer).map((part) => part.text).join("\n");
}

/** Import a module whose `akshi:agent/…` imports are answered here. */
export function load(url) {
  return import(url);
}

globalThis.akshiCall = (name, ...args) => {
  calls.push([name, ...args]);
  if (!(name in handlers)) throw refusal("capability-denied", `${name} was not granted`);
  return handlers[name](...args);
};

const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
const played = Object.fromEntries(
  Object.entries(FUNCTIONS).map(([name, functions]) => [
    `akshi:agent/${name}@0.1.0`,
    functions
      .map((f) => `export const ${camel(f)} = (...a) => globalThis.akshiCall("${name}.${f}", ...a);`)
      .join("\n"),
  ]),
);
const hooks = `
const played = ${JSON.stringify(played)};
export async function resolve(name, context, next) {
  return name in played ? { url: name, shortCircuit: true } : next(name, context);
}
export async function load(url, context, next) {
  if (!(url in played)) return next(url, context);
  return { format: "module", source: played[url], shortCircuit: true };
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
