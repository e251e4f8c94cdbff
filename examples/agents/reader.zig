//! Answers questions about the files on its shelf, alone or as one of many.
//!
//!     a plain question          the best passages of this shelf
//!     {"terms":[…]}             round 1: the shelf's statistics for these terms
//!     {"terms":[…],"k":5,       round 2: the k best passages, scored with
//!      "passages","length",     statistics that the asker has added up over all shelves
//!      "with":[…]}

const std = @import("std");
const akshi = @import("akshi");
const ranking = @import("ranking.zig");
const json = akshi.json;
const memory = akshi.memory;
pub const panic = akshi.panic;

const page_files = 100;
const name_bytes_max = 255; // of every file system we know
const progress_every_files = 50;
const alone_hits = 5;

comptime {
    akshi.guest();
}

pub fn run(task: akshi.Task) akshi.Failure![]const u8 {
    const words = try task.words();
    if (words.len == 0 or words[0] != '{') return alone(words);
    const wish = json.parse(words) catch return akshi.giveUp("the message is not JSON");
    var survey: Survey = .{ .terms = try ranking.Terms.read(wish.get("terms")) };
    const k = wish.get("k");
    if (k == .null) {
        try survey.everything();
        return akshi.textPart(statistics(&survey));
    }
    const limit = k.whole() orelse 0;
    if (limit < 1 or limit > ranking.hits_max) return akshi.giveUp("want k from 1 to 10");
    survey.sums = try ranking.Statistics.read(wish, survey.terms.count);
    survey.best = ranking.Best.of(@intCast(limit));
    try survey.everything();
    return akshi.textPart(hits(&survey));
}

fn alone(question: []const u8) akshi.Failure![]const u8 {
    const terms = ranking.Terms.of(question);
    if (terms.count == 0) return akshi.giveUp("the question has no words");
    var first: Survey = .{ .terms = terms };
    try first.everything();
    var second: Survey = .{ .terms = terms, .sums = first.own, .best = .of(alone_hits) };
    try second.everything();
    var out: json.Writer = .{};
    second.best.?.answer(&out);
    out.raw("}");
    return akshi.textPart(out.bytes());
}

fn statistics(survey: *const Survey) []const u8 {
    var out: json.Writer = .{};
    out.raw("{");
    survey.own.write(&out, survey.terms.count);
    out.raw(",\"files\":");
    out.whole(survey.files);
    out.raw(",\"unread\":");
    out.whole(survey.unread);
    out.raw("}");
    return out.bytes();
}

fn hits(survey: *const Survey) []const u8 {
    var out: json.Writer = .{};
    const best = &survey.best.?;
    out.raw("{\"hits\":[");
    for (best.hits[0..best.count], 0..) |*hit, i| {
        if (i > 0) out.raw(",");
        hit.write(&out, survey.terms.count);
    }
    out.raw("]}");
    return out.bytes();
}

/// One walk over all files: counts always, and ranks if it knows the statistics.
const Survey = struct {
    terms: ranking.Terms,
    sums: ranking.Statistics = .{},
    best: ?ranking.Best = null,
    own: ranking.Statistics = .{},
    files: u64 = 0,
    unread: u64 = 0,
    /// Where the name of a file begins in its path.
    name_at: usize = 1,

    /// Files are named as below their shelf, so that it does not matter whose shelf it
    /// is; only if there are several, the shelf's name goes first.
    fn everything(survey: *Survey) akshi.Failure!void {
        const shelves = try page("/", "");
        const first = shelves.get("files").first() orelse
            return akshi.giveUp("there is no shelf to read");
        const one = first.next == null;
        var item: ?*json.Item = first;
        while (item) |shelf| : (item = shelf.next) {
            const name = shelf.value.get("name").text() orelse continue;
            const path = joined("", name);
            survey.name_at = if (one) path.len + 1 else 1;
            try survey.directory(path);
        }
    }

    fn directory(survey: *Survey, path: []const u8) akshi.Failure!void {
        var cursor: [name_bytes_max]u8 = undefined; // outlives the page it came with
        var after: []const u8 = "";
        while (true) {
            const before = memory.mark();
            defer memory.release(before);
            const listed = page(path, after) catch |failure| return survey.unreadable(failure);
            var item = listed.get("files").first();
            while (item) |entry| : (item = entry.next) {
                const name = entry.value.get("name").text() orelse continue;
                const kind = entry.value.get("kind").text() orelse continue;
                const inner = memory.mark();
                if (std.mem.eql(u8, kind, "directory")) {
                    try survey.directory(joined(path, name));
                } else {
                    try survey.file(joined(path, name));
                }
                memory.release(inner);
            }
            const next = listed.get("next").text() orelse return;
            if (next.len > cursor.len) return akshi.giveUp("the cursor of list-files is too long");
            @memcpy(cursor[0..next.len], next);
            after = cursor[0..next.len];
        }
    }

    fn file(survey: *Survey, path: []const u8) akshi.Failure!void {
        survey.files += 1;
        if (survey.files % progress_every_files == 0) _ = try akshi.host.progress("reading");
        const text = readText(path) catch |failure| return survey.unreadable(failure);
        if (text == null or ranking.cost(path[survey.name_at..]) > ranking.path_cost_max) {
            survey.unread += 1;
            return;
        }
        survey.paragraphs(path, text.?);
    }

    /// What may not be read, is too large or went away is counted; all else is fatal.
    fn unreadable(survey: *Survey, failure: akshi.Failure) akshi.Failure!void {
        switch (akshi.fault.code orelse return failure) {
            .invalid, .@"not-allowed" => survey.unread += 1,
            else => return failure,
        }
    }

    fn paragraphs(survey: *Survey, path: []const u8, text: []const u8) void {
        var line: u64 = 0;
        var start: ?usize = null;
        var start_line: u64 = 0;
        var at: usize = 0;
        while (at < text.len) {
            const end = std.mem.indexOfScalarPos(u8, text, at, '\n') orelse text.len;
            line += 1;
            if (isBlank(text[at..end])) {
                if (start) |from| survey.passage(path, start_line, text[from .. at - 1]);
                start = null;
            } else if (start == null) {
                start = at;
                start_line = line;
            }
            at = end + 1;
        }
        if (start) |from| survey.passage(path, start_line, text[from..]);
    }

    fn passage(survey: *Survey, path: []const u8, line: u64, text: []const u8) void {
        var tf: ranking.Counts = @splat(0);
        var length: u32 = 0;
        var words: ranking.Words = .{ .text = text };
        while (words.next()) |word| {
            length += 1;
            if (survey.terms.find(word)) |term| tf[term] += 1;
        }
        survey.own.passages += 1;
        survey.own.length += length;
        var occurs = false;
        const count = survey.terms.count;
        for (tf[0..count], survey.own.with[0..count]) |times, *with| {
            if (times == 0) continue;
            with.* += 1;
            occurs = true;
        }
        if (!occurs) return;
        const best = if (survey.best) |*best| best else return;
        best.offer(.{
            .score = survey.sums.score(tf[0..count], length),
            .file = path[survey.name_at..],
            .line = line,
            .length = length,
            .tf = tf,
            .text = std.mem.trim(u8, text, " \t\r\n"),
        });
    }
};

fn page(path: []const u8, after: []const u8) akshi.Failure!json.Value {
    return json.parse(try akshi.filesystem.listFiles(path, after, page_files)) catch
        akshi.giveUp("the answer of list-files is not JSON");
}

/// Null if the file is not text.
fn readText(path: []const u8) akshi.Failure!?[]const u8 {
    const content = json.parse(try akshi.filesystem.readFile(path)) catch
        return akshi.giveUp("the answer of read-file is not JSON");
    return content.get("text").text();
}

fn joined(path: []const u8, name: []const u8) []const u8 {
    const whole = memory.bytes(path.len + 1 + name.len);
    @memcpy(whole[0..path.len], path);
    whole[path.len] = '/';
    @memcpy(whole[path.len + 1 ..], name);
    return whole;
}

fn isBlank(line: []const u8) bool {
    for (line) |byte| if (byte != ' ' and byte != '\t' and byte != '\r') return false;
    return true;
}
