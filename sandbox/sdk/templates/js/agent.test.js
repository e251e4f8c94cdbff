/** The agent without a node: `akshi_testing` plays the host. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, host, load } from "./sdk/akshi_testing.js";

const { run } = await load(new URL("./agent.js", import.meta.url));

test("it counts and notes", () => {
  const calls = host({ "journal.append": () => '{"id": "1"}' });
  assert.equal(ask(run, "to be"), "2 words, noted as 1");
  assert.deepEqual(calls, [["journal.append", "task", "to be"]]);
});

test("a refusal is not fatal", () => {
  host();
  assert.equal(ask(run, "to be"), "2 words, not noted: capability-denied");
});

test("an empty message fails the task", () => {
  assert.throws(() => ask(run, " "), /no words/);
});
