/**
 * What an agent in JavaScript needs beside the interfaces that its builder links.
 *
 *     import { agent, journal } from "./sdk/akshi.js";
 *     export const run = agent((task) => journal.append("seen", task.text));
 *
 * Every host function is here; docs/spec/agent-abi.md says what each does. What the node refuses
 * is thrown as a Fault: catch it and go on, or let it end the task. There is no clock and no true
 * randomness in a guest: use task.now and task.random.
 */
import * as hostA2a from "akshi:agent/a2a@0.1.0";
import * as hostDatabase from "akshi:agent/database@0.1.0";
import * as hostFilesystem from "akshi:agent/filesystem@0.1.0";
import * as hostHttp from "akshi:agent/http-fetch@0.1.0";
import * as hostInference from "akshi:agent/inference@0.1.0";
import * as hostJournal from "akshi:agent/journal@0.1.0";
import * as hostMcp from "akshi:agent/mcp@0.1.0";
import * as hostSpend from "akshi:agent/spend@0.1.0";
import * as hostTask from "akshi:agent/task@0.1.0";

/** The node did not do it: `code` is one word of docs/spec/agent-abi.md, `why` is for people. */
export class Fault extends Error {
  constructor(code, why) {
    super(`${code}: ${why}`);
    this.name = "Fault";
    this.code = code;
    this.why = why;
  }
}

/** Ends the task as failed; the message is what its sender reads. */
export class GiveUp extends Error {}

/**
 * @typedef {{text?: string, raw?: string, url?: string, data?: unknown}} Part an A2A 1.0 part
 * @typedef {{id: string, sender: string, parts: Part[], text: string}} Task
 * @typedef {{id: string, tag: string, text: string, originator: string, author?: string,
 *   at_ms?: number, score?: number}} Entry without author and at_ms while it is staged
 * @typedef {null|boolean|number|string|Uint8Array} Value what a database holds
 */

/**
 * The export `run`, around a function from task to text or parts.
 * @param {(task: Task) => string | Part[]} answer
 */
export function agent(answer) {
  return (text) => {
    const given = JSON.parse(text);
    const parts = given.message.parts;
    const task = { id: given.id, sender: given.from, parts, text: joined(parts) };
    return JSON.stringify(asParts(answer(task)));
  };
}

/** Ask a language model. */
export const inference = {
  /**
   * @param {string | {role: "system"|"user"|"assistant", content: string}[]} prompt
   * @param {{model?: string, max_tokens?: number, temperature?: number, stop?: string[]}} [more]
   * @returns {{text: string, model: string, finish: string,
   *   usage: {tokens_in: number|null, tokens_out: number|null}, cost: string|null}}
   */
  prompt(prompt, more = {}) {
    const asked = typeof prompt === "string" ? { prompt } : { messages: prompt };
    return JSON.parse(call(hostInference.prompt, JSON.stringify({ ...asked, ...more })));
  },
};

/** The agent's own append-only journal. */
export const journal = {
  /** @returns {string} the entry's id; others see it when the task has ended well */
  append(tag, text) {
    return JSON.parse(call(hostJournal.append, tag, text)).id;
  },
  /** @returns {{entries: Entry[], next: string|null}} in order; `next` is where to go on */
  read(after = "", limit = 100) {
    return JSON.parse(call(hostJournal.read, after, limit));
  },
  /** @returns {Entry[]} by keyword, best first */
  search(query, limit = 10) {
    return JSON.parse(call(hostJournal.search, query, limit)).entries;
  },
  /** @param {"keyword"|"vector"|"hybrid"} mode @returns {Entry[]} */
  find(query, mode = "hybrid", limit = 10) {
    return JSON.parse(call(hostJournal.find, JSON.stringify({ query, mode, limit }))).entries;
  },
};

/** The agent's own SQLite database; what a task changes commits when it ends well. */
export const database = {
  /** @param {Value[]} parameters @returns {{columns: string[], rows: Value[][]}} */
  query(sql, ...parameters) {
    return rows(call(hostDatabase.query, sql, values(parameters)));
  },
  /**
   * @param {Value[]} parameters
   * @returns {{changes: number, last_row_id: number, columns: string[], rows: Value[][]}}
   */
  execute(sql, ...parameters) {
    return rows(call(hostDatabase.execute, sql, values(parameters)));
  },
};

/** One outbound HTTP request. */
export const http = {
  /**
   * @param {string} url
   * @param {{method?: string, headers?: Object<string, string>, body?: string|Uint8Array,
   *   timeout_ms?: number, payment?: string}} [more]
   * @returns {{status: number, headers: Object<string, string>, url: string, text: string|null,
   *   bytes: Uint8Array|null, payment_required?: object}} `bytes` where it is no UTF-8, else `text`
   */
  fetch(url, more = {}) {
    const { body, ...request } = { url, ...more };
    if (body instanceof Uint8Array) request.body_base64 = toBase64(body);
    else if (body !== undefined) request.body = body;
    const answer = JSON.parse(call(hostHttp.fetch, JSON.stringify(request)));
    const { body: text = null, body_base64: encoded, ...rest } = answer;
    return { ...rest, text, bytes: encoded === undefined ? null : fromBase64(encoded) };
  },
};

/** Tasks for other agents, on this node or another. */
export const a2a = {
  /**
   * @param {string} target did:key:…/agent, petname/agent or self/agent
   * @param {string | Part[]} message
   * @returns {string} the new task's id
   */
  send(target, message) {
    return call(hostA2a.send, target, JSON.stringify(asParts(message)));
  },
  /**
   * @param {string[]} ids @param {number} timeoutMs
   * @returns {{id: string, state: string, completed: boolean, parts: Part[], text: string,
   *   why: string} | null} the first of these tasks that has ended; null when time is up
   */
  wait(ids, timeoutMs) {
    const task = JSON.parse(call(hostA2a.wait, JSON.stringify(ids), timeoutMs));
    if (task === null) return null;
    const parts = task.artifacts?.[0]?.parts ?? [];
    const state = task.status.state;
    return {
      id: task.id,
      state,
      completed: state === "TASK_STATE_COMPLETED",
      parts,
      text: joined(parts),
      why: joined(task.status.message?.parts ?? []),
    };
  },
  cancel(id) {
    call(hostA2a.cancel, id);
  },
};

/** Tools of MCP servers. */
export const mcp = {
  /** @returns {{tools: object[], refused: {name: string, why: string}[]}} */
  listTools(server) {
    return JSON.parse(call(hostMcp.listTools, server));
  },
  /** @returns {{content: object[], isError: boolean, structuredContent?: object}} */
  callTool(server, tool, args) {
    return JSON.parse(call(hostMcp.callTool, server, tool, JSON.stringify(args)));
  },
};

/** Read files below the allowed paths. */
export const filesystem = {
  /**
   * One directory; the empty path lists the shelves.
   * @returns {{files: {name: string, kind: "file"|"directory", bytes: number}[],
   *   next: string|null}}
   */
  listFiles(path = "", after = "", limit = 1000) {
    return JSON.parse(call(hostFilesystem.listFiles, path, after, limit));
  },
  /** @returns {string | Uint8Array} text where it is UTF-8, else its bytes */
  readFile(path) {
    const file = JSON.parse(call(hostFilesystem.readFile, path));
    return file.base64 === undefined ? file.text : fromBase64(file.base64);
  },
};

/**
 * Money, in integer micro-units.
 * @typedef {{amount_micros: number, currency: string, rail: string, payee: string, memo?: string,
 *   challenge?: string}} Charge
 */
export const spend = {
  balance() {
    return JSON.parse(call(hostSpend.balance));
  },
  /** @param {Charge} charge */
  quote(charge) {
    return JSON.parse(call(hostSpend.quote, JSON.stringify(charge)));
  },
  /** @param {Charge} charge @returns {{payment: string, state: string, has_proof: boolean}} */
  charge(charge) {
    return JSON.parse(call(hostSpend.charge, JSON.stringify(charge)));
  },
};

/** The task itself: reaches nothing but the task, always allowed. */
export const task = {
  progress(text) {
    call(hostTask.progress, text);
  },
  isCancelled() {
    return call(hostTask.isCancelled) === "true";
  },
  /** @param {"debug"|"info"|"warning"|"error"} level */
  log(level, text) {
    call(hostTask.log, level, text);
  },
  /** Milliseconds since 1970; the same in every attempt of a task. */
  now() {
    return Number(call(hostTask.now));
  },
  /** @returns {Uint8Array} */
  random(count) {
    const digits = call(hostTask.random, count);
    return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  },
};

function call(hostFunction, ...args) {
  try {
    return hostFunction(...args);
  } catch (refusal) {
    if (refusal?.payload?.code === undefined) throw refusal;
    throw new Fault(refusal.payload.code, refusal.payload.why);
  }
}

function asParts(message) {
  return typeof message === "string" ? [{ text: message }] : message;
}

function joined(parts) {
  return parts.filter((part) => "text" in part).map((part) => part.text).join("\n");
}

function values(parameters) {
  const plain = (value) => (value instanceof Uint8Array ? { base64: toBase64(value) } : value);
  return JSON.stringify(parameters.map(plain));
}

function rows(text) {
  const answer = JSON.parse(text);
  const value = (one) => (one?.base64 === undefined ? one : fromBase64(one.base64));
  const read = (answer.rows ?? []).map((row) => row.map(value));
  return { columns: [], ...answer, rows: read };
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [a, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const bits = (a << 16) | (b << 8) | c;
    const digits = [18, 12, 6, 0].map((shift) => DIGITS[(bits >> shift) & 63]).join("");
    const known = Math.min(bytes.length - at, 3) + 1;
    text += digits.slice(0, known).padEnd(4, "=");
  }
  return text;
}

/** @param {string} text */
export function fromBase64(text) {
  const digits = text.replace(/=+$/, "");
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let bits = 0;
  let kept = 0;
  let at = 0;
  for (const digit of digits) {
    bits = ((bits << 6) | DIGITS.indexOf(digit)) & 0xffffff;
    kept += 6;
    if (kept >= 8) {
      kept -= 8;
      bytes[at++] = (bits >> kept) & 0xff;
    }
  }
  return bytes;
}
