//! An agent that breaks the rules. The first word of the message says which one, a number
//! after it how often. What is not an attack answers with a text part saying what it got.

const std = @import("std");
const akshi = @import("akshi");
pub const panic = akshi.panic;

const huge_bytes = 6 << 20;
const many_parts = 50_000;
var runs: u32 = 0;
var realloc_attack: enum { none, wild, calls } = .none;
var spin_afterwards = false;
var returned_area: [3]u32 = undefined;

comptime {
    @export(&enter, .{ .name = "run" });
    @export(&leave, .{ .name = "cabi_post_run" });
    @export(&reallocate, .{ .name = "cabi_realloc" });
}

fn enter(pointer: u32, length: u32) callconv(.c) usize {
    const text = @as([*]u8, @ptrFromInt(pointer))[0..length];
    const answer = attack(text) catch return wrapped(1, akshi.fault.why);
    if (answer.len == 1) switch (answer[0]) {
        'p' => return 0xffff_fff0, // the whole result lies beyond the memory
        'm' => return @intFromPtr(&returned_area) + 1,
        'd' => return wrapped(7, "no such case"),
        'w' => return wrapped(0, @as([*]const u8, @ptrFromInt(0xffff_0000))[0..4096]),
        else => {},
    };
    return wrapped(0, answer);
}

fn wrapped(case: u32, text: []const u8) usize {
    returned_area = .{ case, @intFromPtr(text.ptr), text.len };
    return @intFromPtr(&returned_area);
}

fn leave(_: u32) callconv(.c) void {
    if (spin_afterwards) spin();
}

fn reallocate(old: u32, old_length: u32, alignment: u32, length: u32) callconv(.c) u32 {
    switch (realloc_attack) {
        .none => {},
        .wild => return 0xffff_fff0,
        .calls => _ = akshi.host.now() catch {},
    }
    return akshi.memory.reallocate(old, old_length, alignment, length);
}

const Attack = enum {
    spin,
    recurse,
    grow,
    @"huge-call",
    @"huge-result",
    @"badutf8-call",
    @"badutf8-result",
    @"wild-call",
    @"wild-result",
    @"wild-text",
    @"misaligned-result",
    @"wrong-case",
    @"wild-realloc",
    @"calling-realloc",
    flood,
    @"flood-journal",
    @"flood-log",
    @"flood-progress",
    trap,
    @"exit-early",
    @"not-json",
    @"not-parts",
    many,
    @"many-parts",
    nondeterministic,
    deny,
    late,
    count,
};

fn attack(task: []u8) akshi.Failure![]const u8 {
    const parsed = akshi.json.parse(task) catch return akshi.giveUp("the task is not JSON");
    const words = try akshi.joined(parsed.get("message").get("parts"));
    const space = std.mem.indexOfScalar(u8, words, ' ') orelse words.len;
    const times = std.fmt.parseInt(u32, words[@min(space + 1, words.len)..], 10) catch 1000;
    const chosen = std.meta.stringToEnum(Attack, words[0..space]) orelse
        return akshi.giveUp("no such attack");
    switch (chosen) {
        .spin => spin(),
        .recurse => return counted(recurse(1)),
        .grow => return counted(grown()),
        .@"huge-call" => return heard(akshi.journal.append("huge", filled(huge_bytes, 'x'))),
        .@"huge-result" => return akshi.textPart(filled(huge_bytes / 2, 'x')),
        .@"badutf8-call" => return heard(akshi.journal.append("\xff\xfe", "\xed\xa0\x80")),
        .@"badutf8-result" => return "[{\"text\":\"\xc0\x80\"}]",
        .@"wild-call" => {
            const wild = @as([*]const u8, @ptrFromInt(0xffff_0000))[0..4096];
            return heard(akshi.journal.append("wild", wild));
        },
        .@"wild-result" => return "p",
        .@"misaligned-result" => return "m",
        .@"wrong-case" => return "d",
        .@"wild-text" => return "w",
        .@"wild-realloc" => {
            realloc_attack = .wild;
            return heard(akshi.host.now());
        },
        .@"calling-realloc" => {
            realloc_attack = .calls;
            return heard(akshi.host.now());
        },
        .flood => while (true) quietly(akshi.host.isCancelled()),
        .@"flood-journal" => while (true) quietly(akshi.journal.append("flood", "again")),
        .@"flood-log" => while (true) quietly(akshi.host.log("error", "again")),
        .@"flood-progress" => while (true) quietly(akshi.host.progress("again")),
        .trap => @trap(),
        .@"exit-early" => return "",
        .@"not-json" => return "[{\"text\":",
        .@"not-parts" => return "{\"text\":[]}",
        .many => return largeCounts(),
        .@"many-parts" => return parts(),
        .nondeterministic => return heard(akshi.journal.append("pages", counted(grown()))),
        .deny => return denied(times),
        .late => {
            spin_afterwards = true;
            return akshi.textPart("the answer was in time");
        },
        .count => {
            runs += 1;
            return counted(runs);
        },
    }
}

fn spin() noreturn {
    while (true) asm volatile ("" ::: .{ .memory = true });
}

fn recurse(depth: u32) u32 {
    var kept: [64]u32 = undefined;
    asm volatile (""
        :
        : [kept] "r" (&kept),
        : .{ .memory = true });
    return recurse(depth + 1) + kept[depth % kept.len];
}

/// Pages held when the host refused more: depends on the limit, so an attempt under
/// another limit makes other calls. Nothing else a guest sees differs between attempts.
fn grown() u32 {
    while (@wasmMemoryGrow(0, 1) >= 0) {}
    const pages = @wasmMemorySize(0);
    for (4..pages) |page| @as(*volatile u8, @ptrFromInt(page * 65536 + 65535)).* = 1;
    return pages;
}

fn filled(length: usize, byte: u8) []u8 {
    const text = akshi.memory.bytes(length);
    @memset(text, byte);
    return text;
}

/// Calls with the largest numbers there are; what they answer is not kept.
fn largeCounts() akshi.Failure![]const u8 {
    const most = std.math.maxInt(u32);
    const before = akshi.memory.mark();
    quietly(akshi.host.random(most));
    akshi.memory.release(before);
    quietly(akshi.journal.read("", most));
    akshi.memory.release(before);
    quietly(akshi.journal.search("a", most));
    akshi.memory.release(before);
    quietly(akshi.filesystem.listFiles("", "", most));
    akshi.memory.release(before);
    quietly(akshi.a2a.wait("[]", most));
    return akshi.textPart("lives on");
}

fn parts() []const u8 {
    var out: akshi.json.Writer = .{};
    out.raw("[{\"text\":\"\"}");
    for (1..many_parts) |_| out.raw(",{\"text\":\"\"}");
    out.raw("]");
    return out.bytes();
}

fn denied(times: u32) akshi.Failure![]const u8 {
    var refusals: u32 = 0;
    for (0..times) |_| {
        const before = akshi.memory.mark();
        if (akshi.inference.ask("{}")) |_| {} else |_| refusals += 1;
        akshi.memory.release(before);
    }
    return counted(refusals);
}

/// The answer or the fault, and the memory it took, forgotten.
fn quietly(answer: akshi.Failure![]u8) void {
    const text = answer catch akshi.fault.why;
    akshi.memory.release(akshi.memory.mark() - text.len);
}

fn heard(answer: akshi.Failure![]u8) akshi.Failure![]const u8 {
    return akshi.textPart(try answer);
}

fn counted(number: u32) []const u8 {
    var out: akshi.json.Writer = .{};
    out.whole(number);
    return akshi.textPart(out.bytes());
}
