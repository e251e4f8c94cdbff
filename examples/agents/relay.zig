//! Hands a message on: the first word names the target, the rest is what it is sent.
//!
//! "self/relay node-2/echo hello" goes two hops further. The answer is the target's.

const std = @import("std");
const akshi = @import("akshi");
pub const panic = akshi.panic;

// A guess: the task's own expiry bounds a wait too, this only keeps a call short.
const wait_ms = 60_000;

comptime {
    akshi.guest();
}

pub fn run(task: akshi.Task) akshi.Failure![]const u8 {
    const words = try task.words();
    const space = std.mem.indexOfScalar(u8, words, ' ') orelse
        return akshi.giveUp("want a target, a space and a text");
    const parts = akshi.textPart(words[space + 1 ..]);
    const id = try akshi.a2a.send(words[0..space], parts);
    var ids: akshi.json.Writer = .{};
    ids.raw("[");
    ids.string(id);
    ids.raw("]");
    while (true) {
        const ended = try akshi.a2a.ended(ids.bytes(), wait_ms) orelse continue;
        if (!ended.completed) return akshi.giveUp(ended.why);
        var out: akshi.json.Writer = .{};
        out.any(ended.parts);
        return out.bytes();
    }
}
