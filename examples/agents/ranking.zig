//! Words, passages and BM25, shared by reader and librarian so that both compute the same.
//!
//! A document is a passage: a paragraph between blank lines. Its score depends on nothing
//! but its own counts and on sums over all passages, whoever holds them.

const std = @import("std");
const akshi = @import("akshi");
const json = akshi.json;
const memory = akshi.memory;

pub const terms_max = 32;
pub const hits_max = 10;
const word_bytes_max = 64;
// What JSON in JSON may make of one passage and of one path: ten of both, with their
// numbers, stay below the 48 KiB that the parts of one message may have.
const excerpt_cost_max = 2000;
pub const path_cost_max = 1500;
const sum_max = 1 << 52; // whole numbers that a float holds exactly
const k1 = 1.2;
const b = 0.75;

pub const Counts = [terms_max]u32;

/// Lower-case words of letters and digits; all other characters divide words.
pub const Words = struct {
    text: []const u8,
    at: usize = 0,
    word: [word_bytes_max]u8 = undefined,

    /// The next word, valid until the call after; empty if it is too long to be a term.
    pub fn next(words: *Words) ?[]const u8 {
        var length: usize = 0;
        while (words.at < words.text.len) {
            const byte = words.text[words.at];
            if (byte < 0x80) {
                words.at += 1;
                if (!std.ascii.isAlphanumeric(byte)) {
                    if (length > 0) break else continue;
                }
                if (length < word_bytes_max) words.word[length] = std.ascii.toLower(byte);
                length += 1;
                continue;
            }
            const size = std.unicode.utf8ByteSequenceLength(byte) catch unreachable;
            const code = std.unicode.utf8Decode(words.text[words.at..][0..size]) catch unreachable;
            words.at += size;
            if (!isLetter(code)) {
                if (length > 0) break else continue;
            }
            if (length + size <= word_bytes_max) {
                _ = std.unicode.utf8Encode(lower(code), words.word[length..]) catch unreachable;
            }
            length += size;
        } else if (length == 0) return null;
        return words.word[0..if (length > word_bytes_max) 0 else length];
    }
};

/// Beyond ASCII all is a letter but the blocks of signs, spaces and pictures.
fn isLetter(code: u21) bool {
    return switch (code) {
        0x80...0xbf, 0xd7, 0xf7 => false,
        0x2000...0x2bff, 0x3000...0x303f, 0xfe00...0xfe0f => false,
        0x1f000...0x1faff => false,
        else => true,
    };
}

/// Latin-1, Greek and Cyrillic capitals, whose small letters take as many bytes.
fn lower(code: u21) u21 {
    return switch (code) {
        0xc0...0xde, 0x391...0x3a9, 0x410...0x42f => code + 32,
        0x400...0x40f => code + 80,
        else => code,
    };
}

pub const Terms = struct {
    list: [terms_max][]const u8 = undefined,
    count: usize = 0,

    /// The different words of a question, in order; those beyond `terms_max` are left out.
    pub fn of(question: []const u8) Terms {
        var terms: Terms = .{};
        var words: Words = .{ .text = question };
        while (words.next()) |word| {
            if (word.len == 0 or terms.find(word) != null) continue;
            if (terms.count == terms_max) break;
            const kept = memory.bytes(word.len);
            @memcpy(kept, word);
            terms.list[terms.count] = kept;
            terms.count += 1;
        }
        return terms;
    }

    pub fn read(value: json.Value) akshi.Failure!Terms {
        var terms: Terms = .{};
        var item = value.first();
        while (item) |term| : (item = term.next) {
            if (terms.count == terms_max) return akshi.giveUp("too many terms");
            terms.list[terms.count] = term.value.text() orelse
                return akshi.giveUp("a term is no text");
            terms.count += 1;
        }
        return terms;
    }

    pub fn write(terms: *const Terms, out: *json.Writer) void {
        out.raw("[");
        for (terms.list[0..terms.count], 0..) |term, i| {
            if (i > 0) out.raw(",");
            out.string(term);
        }
        out.raw("]");
    }

    pub fn find(terms: *const Terms, word: []const u8) ?usize {
        if (word.len == 0) return null;
        for (terms.list[0..terms.count], 0..) |term, i| {
            if (term.len != word.len or term[0] != word[0]) continue; // most end here
            if (std.mem.eql(u8, term, word)) return i;
        }
        return null;
    }
};

/// Sums over passages; sums of sums are sums, so shelves can be added up.
pub const Statistics = struct {
    passages: u64 = 0,
    length: u64 = 0,
    /// In how many passages each term occurs.
    with: [terms_max]u64 = @splat(0),

    pub fn add(sums: *Statistics, other: Statistics) void {
        sums.passages += other.passages;
        sums.length += other.length;
        for (&sums.with, other.with) |*sum, more| sum.* += more;
    }

    pub fn read(value: json.Value, terms: usize) akshi.Failure!Statistics {
        var read_ones: Statistics = .{
            .passages = try whole(value.get("passages")),
            .length = try whole(value.get("length")),
        };
        if (value.get("with").count() != terms) return akshi.giveUp("want a count for each term");
        try counts(u64, value.get("with"), &read_ones.with);
        for (read_ones.with) |with| {
            if (with > read_ones.passages) return akshi.giveUp("a count exceeds the passages");
        }
        if (@max(read_ones.passages, read_ones.length) > sum_max) {
            return akshi.giveUp("a sum is too large");
        }
        return read_ones;
    }

    /// As members of an object that the caller has opened.
    pub fn write(sums: *const Statistics, out: *json.Writer, terms: usize) void {
        out.raw("\"passages\":");
        out.whole(sums.passages);
        out.raw(",\"length\":");
        out.whole(sums.length);
        out.raw(",\"with\":");
        writeCounts(u64, out, sums.with[0..terms]);
    }

    pub fn score(sums: *const Statistics, tf: []const u32, length: u32) f64 {
        const passages: f64 = @floatFromInt(sums.passages);
        const total: f64 = @floatFromInt(sums.length);
        const long: f64 = @floatFromInt(length);
        const norm = k1 * (1 - b + b * long * passages / total);
        var sum: f64 = 0;
        for (tf, sums.with[0..tf.len]) |times, with| {
            if (times == 0) continue;
            const n: f64 = @floatFromInt(with);
            const f: f64 = @floatFromInt(times);
            sum += @log(1 + (passages - n + 0.5) / (n + 0.5)) * f * (k1 + 1) / (f + norm);
        }
        // Formally equal scores may differ in the last bit; nine decimals make them equal.
        return @floor(sum * 1e9 + 0.5) / 1e9;
    }
};

pub const Hit = struct {
    score: f64 = 0,
    file: []const u8 = "",
    line: u64 = 0,
    length: u32 = 0,
    tf: Counts = @splat(0),
    text: []const u8 = "",

    /// A total order over different passages: who holds them does not come into it.
    fn before(hit: *const Hit, other: *const Hit) bool {
        if (hit.score != other.score) return hit.score > other.score;
        return switch (std.mem.order(u8, hit.file, other.file)) {
            .lt => true,
            .gt => false,
            .eq => hit.line < other.line,
        };
    }

    pub fn read(value: json.Value, sums: *const Statistics, terms: usize) akshi.Failure!Hit {
        var hit: Hit = .{
            .file = value.get("file").text() orelse return akshi.giveUp("a hit has no file"),
            .line = try whole(value.get("line")),
            .length = std.math.cast(u32, try whole(value.get("length"))) orelse
                return akshi.giveUp("a passage is too long"),
            .text = value.get("text").text() orelse return akshi.giveUp("a hit has no text"),
        };
        if (value.get("tf").count() != terms) return akshi.giveUp("want a count for each term");
        try counts(u32, value.get("tf"), &hit.tf);
        // Whoever answers is believed about its own files, not about our memory.
        if (hit.length == 0 or hit.length > sums.length or cost(hit.file) > path_cost_max) {
            return akshi.giveUp("a hit is beyond what its reader counted");
        }
        hit.score = sums.score(hit.tf[0..terms], hit.length);
        return hit;
    }

    pub fn write(hit: *const Hit, out: *json.Writer, terms: usize) void {
        out.raw("{\"file\":");
        out.string(hit.file);
        out.raw(",\"line\":");
        out.whole(hit.line);
        out.raw(",\"length\":");
        out.whole(hit.length);
        out.raw(",\"tf\":");
        writeCounts(u32, out, hit.tf[0..terms]);
        out.raw(",\"text\":");
        out.string(hit.text);
        out.raw("}");
    }
};

/// The best few hits so far, best first, in memory of its own.
pub const Best = struct {
    hits: [hits_max]Hit = undefined,
    rooms: [hits_max][]u8 = undefined,
    count: usize = 0,
    limit: usize,

    pub fn of(limit: usize) Best {
        var best: Best = .{ .limit = limit };
        for (best.rooms[0..limit]) |*room| room.* = memory.bytes(path_cost_max + excerpt_cost_max);
        return best;
    }

    /// Takes `hit` in if it is among the best; its texts are copied, the passage cut.
    pub fn offer(best: *Best, hit: Hit) void {
        var place = best.count;
        while (place > 0 and hit.before(&best.hits[place - 1])) place -= 1;
        if (place == best.limit) return;
        if (best.count < best.limit) best.count += 1;
        const room = best.rooms[best.count - 1]; // of the one that falls out, or a fresh one
        var at = best.count - 1;
        while (at > place) : (at -= 1) {
            best.hits[at] = best.hits[at - 1];
            best.rooms[at] = best.rooms[at - 1];
        }
        best.rooms[place] = room;
        best.hits[place] = hit;
        const text = excerpt(hit.text);
        @memcpy(room[0..hit.file.len], hit.file);
        @memcpy(room[hit.file.len..][0..text.len], text);
        best.hits[place].file = room[0..hit.file.len];
        best.hits[place].text = room[hit.file.len..][0..text.len];
    }

    /// {"answers":[{"file","line","score","text"},…] without the closing brace.
    pub fn answer(best: *const Best, out: *json.Writer) void {
        out.raw("{\"answers\":[");
        for (best.hits[0..best.count], 0..) |*hit, i| {
            out.raw(if (i > 0) ",{\"file\":" else "{\"file\":");
            out.string(hit.file);
            out.raw(",\"line\":");
            out.whole(hit.line);
            out.raw(",\"score\":");
            out.decimal(hit.score);
            out.raw(",\"text\":");
            out.string(hit.text);
            out.raw("}");
        }
        out.raw("]");
    }
};

/// Bytes that `text` takes, at most, in JSON that is a string in JSON.
pub fn cost(text: []const u8) usize {
    var sum: usize = 0;
    for (text) |byte| sum += costOf(byte);
    return sum;
}

fn costOf(byte: u8) usize {
    return switch (byte) {
        '\n' => 3,
        0...'\n' - 1, '\n' + 1...0x1f, 0x7f => 7,
        '"', '\\' => 4,
        0x80...0xff => 3,
        else => 1,
    };
}

/// As much of the beginning of a passage as an answer has room for.
fn excerpt(text: []const u8) []const u8 {
    var sum: usize = 0;
    for (text, 0..) |byte, at| {
        sum += costOf(byte);
        if (sum > excerpt_cost_max) return cut(text, at);
    }
    return text;
}

/// At most that many bytes, cut between characters.
pub fn cut(text: []const u8, most: usize) []const u8 {
    if (text.len <= most) return text;
    var end = most;
    while (end > 0 and text[end] & 0xc0 == 0x80) end -= 1;
    return text[0..end];
}

fn whole(value: json.Value) akshi.Failure!u64 {
    return value.whole() orelse akshi.giveUp("want a whole number");
}

fn counts(comptime T: type, list: json.Value, into: *[terms_max]T) akshi.Failure!void {
    var item = list.first();
    var i: usize = 0;
    while (item) |count| : (item = count.next) {
        into[i] = std.math.cast(T, try whole(count.value)) orelse
            return akshi.giveUp("a count is too large");
        i += 1;
    }
}

fn writeCounts(comptime T: type, out: *json.Writer, list: []const T) void {
    out.raw("[");
    for (list, 0..) |count, i| {
        if (i > 0) out.raw(",");
        out.whole(count);
    }
    out.raw("]");
}
