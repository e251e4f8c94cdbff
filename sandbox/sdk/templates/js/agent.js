/** Counts the words of a task, and notes the task in the journal if it may. */
import { agent, Fault, GiveUp, journal } from "./sdk/akshi.js";

export const run = agent((task) => {
  const words = task.text.split(/\s+/).filter(Boolean);
  if (words.length === 0) throw new GiveUp("the message has no words");
  try {
    const entry = journal.append("task", task.text);
    return `${words.length} words, noted as ${entry}`;
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault; // a bug
    return `${words.length} words, not noted: ${fault.code}`; // a refusal is not fatal
  }
});
