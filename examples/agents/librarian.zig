//! Asks many readers one question and ranks what comes back as if all files were its own.
//!
//!     {"question":"…","readers":["self/reader","node-2/reader",…],"k":5,"timeout_s":20}
//!
//! or the plain question, with the rest as JSON in a second text part. Round 1 adds up
//! the statistics of all shelves, round 2 asks each for its best passages under the sums.
//! Question and answer go to the journal.

const std = @import("std");
const akshi = @import("akshi");
const ranking = @import("ranking.zig");
const json = akshi.json;
const memory = akshi.memory;
pub const panic = akshi.panic;

const readers_max = 32;
const why_bytes_max = 100;
const hits_default = 5;
const timeout_s_default = 20;
const timeout_s_max = 86_400;

comptime {
    akshi.guest();
}

const Wish = struct {
    question: []const u8,
    readers: json.Value,
    k: u64,
    timeout_ms: u64,

    fn of(task: akshi.Task) akshi.Failure!Wish {
        const first = task.parts.first() orelse return akshi.giveUp("the message is empty");
        const text = first.value.get("text").text() orelse return akshi.giveUp("want a text part");
        const rest = if (first.next) |second| second.value.get("text").text() else null;
        const whole = if (text.len > 0 and text[0] == '{') text else rest orelse "{}";
        const details = json.parse(copied(whole)) catch
            return akshi.giveUp("the details of the question are not JSON");
        const wish: Wish = .{
            .question = details.get("question").text() orelse text,
            .readers = details.get("readers"),
            .k = try number(details.get("k"), hits_default, ranking.hits_max),
            .timeout_ms = 1000 *
                try number(details.get("timeout_s"), timeout_s_default, timeout_s_max),
        };
        if (whole.ptr == text.ptr and details.get("question") != .string) {
            return akshi.giveUp("want a question");
        }
        return wish;
    }
};

fn number(value: json.Value, default: u64, most: u64) akshi.Failure!u64 {
    if (value == .null) return default;
    const given = value.whole() orelse 0;
    if (given < 1 or given > most) return akshi.giveUp("want k from 1 to 10, timeout_s to a day");
    return given;
}

fn copied(text: []const u8) []u8 {
    const copy = memory.bytes(text.len);
    @memcpy(copy, text);
    return copy;
}

const Reader = struct {
    target: []const u8,
    id: []const u8 = "",
    asked: bool = false,
    statistics: ranking.Statistics = .{},
    /// Why it does not count as having answered; null if it does.
    why: ?[]const u8 = null,

    fn failed(reader: *Reader) void {
        var out: json.Writer = .{};
        if (akshi.fault.code) |code| {
            out.raw(@tagName(code));
            out.raw(": ");
        }
        out.raw(akshi.fault.why);
        reader.why = out.bytes();
    }
};

var readers_room: [readers_max]Reader = undefined;

pub fn run(task: akshi.Task) akshi.Failure![]const u8 {
    const wish = try Wish.of(task);
    const terms = ranking.Terms.of(wish.question);
    if (terms.count == 0) return akshi.giveUp("the question has no words");
    const readers = try readersOf(wish.readers);
    _ = try akshi.journal.append("question", wish.question);

    var first: json.Writer = .{};
    first.raw("{\"terms\":");
    terms.write(&first);
    var second: json.Writer = .{};
    second.raw(first.bytes());
    first.raw("}");

    var sums: ranking.Statistics = .{};
    var unread: u64 = 0;
    var round: Round = .{ .readers = readers, .timeout_ms = wish.timeout_ms };
    try round.ask(first.bytes());
    while (try round.next("counted by ")) |answer| {
        const reader = answer.reader;
        reader.statistics = ranking.Statistics.read(answer.content, terms.count) catch {
            reader.failed();
            continue;
        };
        unread += answer.content.get("unread").whole() orelse 0;
        sums.add(reader.statistics);
    }

    var best: ranking.Best = .of(@intCast(wish.k));
    second.raw(",\"k\":");
    second.whole(wish.k);
    second.raw(",");
    sums.write(&second, terms.count);
    second.raw("}");
    for (readers) |*reader| reader.asked = reader.why == null and occurs(reader.statistics);
    try round.ask(second.bytes());
    while (try round.next("searched by ")) |answer| {
        var item = answer.content.get("hits").first();
        while (item) |hit| : (item = hit.next) {
            best.offer(ranking.Hit.read(hit.value, &sums, terms.count) catch {
                answer.reader.failed();
                break;
            });
        }
    }
    return concluded(&best, readers, unread);
}

fn readersOf(list: json.Value) akshi.Failure![]Reader {
    var count: usize = 0;
    var item = list.first();
    while (item) |reader| : (item = reader.next) {
        const target = reader.value.text() orelse return akshi.giveUp("a reader is no text");
        if (count == readers_max) return akshi.giveUp("more than 32 readers");
        for (readers_room[0..count]) |other| {
            if (!std.mem.eql(u8, other.target, target)) continue;
            return akshi.giveUp("a reader is named twice");
        }
        readers_room[count] = .{ .target = target, .asked = true };
        count += 1;
    }
    if (count == 0) {
        if (list != .null) return akshi.giveUp("want readers");
        readers_room[0] = .{ .target = "self/reader", .asked = true };
        count = 1;
    }
    return readers_room[0..count];
}

fn occurs(statistics: ranking.Statistics) bool {
    for (statistics.with) |with| if (with > 0) return true;
    return false;
}

const Answer = struct { reader: *Reader, content: json.Value };

/// One question to all readers that are `asked`, and their answers as they come.
const Round = struct {
    readers: []Reader,
    timeout_ms: u64,
    deadline_ms: u64 = 0,

    fn ask(round: *Round, text: []const u8) akshi.Failure!void {
        round.deadline_ms = try now() + round.timeout_ms;
        const parts = akshi.textPart(text);
        for (round.readers) |*reader| {
            if (!reader.asked) continue;
            reader.id = akshi.a2a.send(reader.target, parts) catch {
                reader.asked = false;
                reader.failed();
                continue;
            };
        }
    }

    /// The next answer that is JSON; null when all have ended or time is up.
    fn next(round: *Round, comptime done: []const u8) akshi.Failure!?Answer {
        while (round.open()) |ids| {
            const at = try now();
            // A clock set back does not make us wait longer than we were asked to.
            const left_ms = @min(round.deadline_ms -| at, round.timeout_ms);
            const ended = try akshi.a2a.ended(ids, @intCast(left_ms)) orelse {
                if (left_ms > 0) continue;
                return round.giveUpWaiting();
            };
            const reader = round.byId(ended.id) orelse
                return akshi.giveUp("a2a.wait names a task that was not asked for");
            reader.asked = false;
            if (!ended.completed) {
                reader.why = ended.why;
                continue;
            }
            const text = akshi.joined(ended.parts) catch "";
            const content = json.parse(copied(text)) catch {
                reader.why = "its answer is not JSON";
                continue;
            };
            _ = try akshi.host.progress(message(done, reader.target));
            return .{ .reader = reader, .content = content };
        }
        return null;
    }

    fn open(round: *const Round) ?[]const u8 {
        var ids: json.Writer = .{};
        for (round.readers) |reader| {
            if (!reader.asked) continue;
            ids.raw(if (ids.length == 0) "[" else ",");
            ids.string(reader.id);
        }
        if (ids.length == 0) return null;
        ids.raw("]");
        return ids.bytes();
    }

    fn byId(round: *Round, id: []const u8) ?*Reader {
        for (round.readers) |*reader| {
            if (reader.asked and std.mem.eql(u8, reader.id, id)) return reader;
        }
        return null;
    }

    fn giveUpWaiting(round: *Round) akshi.Failure!?Answer {
        for (round.readers) |*reader| {
            if (!reader.asked) continue;
            reader.asked = false;
            reader.why = "no answer in time";
            _ = try akshi.a2a.cancel(reader.id);
        }
        return null;
    }
};

fn now() akshi.Failure!u64 {
    return std.fmt.parseInt(u64, try akshi.host.now(), 10) catch
        akshi.giveUp("the time is no number");
}

fn message(comptime done: []const u8, target: []const u8) []const u8 {
    var out: json.Writer = .{};
    out.raw(done);
    out.raw(target);
    return out.bytes();
}

fn concluded(
    best: *const ranking.Best,
    readers: []const Reader,
    unread: u64,
) akshi.Failure![]const u8 {
    var out: json.Writer = .{};
    best.answer(&out);
    out.raw(",\"asked\":");
    out.whole(readers.len);
    var answered: u64 = 0;
    for (readers) |reader| answered += @intFromBool(reader.why == null);
    if (answered == 0) return akshi.giveUp(message("no reader answered: ", readers[0].why.?));
    out.raw(",\"answered\":");
    out.whole(answered);
    out.raw(",\"unread\":");
    out.whole(unread);
    out.raw(",\"failed\":{");
    var some = false;
    for (readers) |reader| {
        const why = reader.why orelse continue;
        if (some) out.raw(",");
        out.string(reader.target);
        out.raw(":");
        out.string(ranking.cut(why, why_bytes_max));
        some = true;
    }
    out.raw("}}");
    _ = try akshi.journal.append("answer", out.bytes());
    return akshi.textPart(out.bytes());
}
