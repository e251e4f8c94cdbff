//! JSON (RFC 8259), as much as A2A messages and answers need.
//!
//! `parse` decodes strings where they stand, so the text it is given is used up and the
//! values point into it. Numbers stay text until asked for. Nesting is at most 32 deep.

const std = @import("std");
const memory = @import("memory.zig");

pub const Malformed = error{Malformed};
const depth_max = 32;

/// A member of an object or, without a name, of an array.
pub const Item = struct { name: []const u8, value: Value, next: ?*Item };

pub const Value = union(enum) {
    null,
    bool: bool,
    number: []const u8,
    string: []const u8,
    array: ?*Item,
    object: ?*Item,

    /// The member `name`, the last one if it is repeated; null if there is none.
    pub fn get(value: Value, name: []const u8) Value {
        var found: Value = .null;
        var item = if (value == .object) value.object else null;
        while (item) |member| : (item = member.next) {
            if (std.mem.eql(u8, member.name, name)) found = member.value;
        }
        return found;
    }

    /// The first member of an array; null if it is empty or no array.
    pub fn first(value: Value) ?*Item {
        return if (value == .array) value.array else null;
    }

    pub fn count(value: Value) usize {
        var n: usize = 0;
        var item = value.first();
        while (item) |member| : (item = member.next) n += 1;
        return n;
    }

    pub fn text(value: Value) ?[]const u8 {
        return if (value == .string) value.string else null;
    }

    /// A whole number that fits and is not negative; else null.
    pub fn whole(value: Value) ?u64 {
        if (value != .number) return null;
        var n: u64 = 0;
        for (value.number) |byte| {
            if (byte < '0' or byte > '9') return null;
            const tens = @mulWithOverflow(n, 10);
            const sum = @addWithOverflow(tens[0], byte - '0');
            if (tens[1] + sum[1] != 0) return null;
            n = sum[0];
        }
        return n;
    }
};

pub fn parse(text: []u8) Malformed!Value {
    var reader: Reader = .{ .text = text };
    const value = try reader.value(0);
    reader.space();
    if (reader.at != text.len) return error.Malformed;
    return value;
}

const Reader = struct {
    text: []u8,
    at: usize = 0,

    fn value(reader: *Reader, depth: usize) Malformed!Value {
        if (depth > depth_max) return error.Malformed;
        reader.space();
        switch (reader.peek()) {
            '{' => return .{ .object = try reader.items('}', depth) },
            '[' => return .{ .array = try reader.items(']', depth) },
            '"' => return .{ .string = try reader.string() },
            'n' => return reader.word("null", .null),
            't' => return reader.word("true", .{ .bool = true }),
            'f' => return reader.word("false", .{ .bool = false }),
            else => return .{ .number = try reader.number() },
        }
    }

    fn items(reader: *Reader, close: u8, depth: usize) Malformed!?*Item {
        reader.at += 1;
        reader.space();
        var start: ?*Item = null;
        var end: *?*Item = &start;
        if (reader.peek() == close) {
            reader.at += 1;
            return null;
        }
        while (true) {
            const item = memory.one(Item);
            item.* = .{ .name = "", .value = .null, .next = null };
            if (close == '}') {
                reader.space();
                item.name = try reader.string();
                reader.space();
                try reader.expect(':');
            }
            item.value = try reader.value(depth + 1);
            end.* = item;
            end = &item.next;
            reader.space();
            if (reader.peek() != ',') break;
            reader.at += 1;
        }
        try reader.expect(close);
        return start;
    }

    fn string(reader: *Reader) Malformed![]const u8 {
        try reader.expect('"');
        const start = reader.at;
        var end = start; // of what is decoded; the same as `at` until the first escape
        while (true) {
            const plain = reader.at;
            reader.at = plainEnd(reader.text, plain);
            const run = reader.text[plain..reader.at];
            if (end != plain) std.mem.copyForwards(u8, reader.text[end..], run);
            end += run.len;
            const byte = reader.peek();
            reader.at += 1;
            if (byte == '"') return reader.text[start..end];
            if (byte != '\\') return error.Malformed; // a control, or the end of the text
            end += try reader.escape(end);
        }
    }

    fn plainEnd(text: []const u8, start: usize) usize {
        var at = start;
        while (at < text.len and text[at] >= 0x20 and text[at] != '"' and text[at] != '\\') at += 1;
        return at;
    }

    /// Writes what an escape stands for at `to`; never more bytes than it has itself.
    fn escape(reader: *Reader, to: usize) Malformed!usize {
        const byte = reader.peek();
        reader.at += 1;
        reader.text[to] = switch (byte) {
            '"', '\\', '/' => byte,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                const code = try reader.escaped();
                return std.unicode.utf8Encode(code, reader.text[to..]) catch error.Malformed;
            },
            else => return error.Malformed,
        };
        return 1;
    }

    fn escaped(reader: *Reader) Malformed!u21 {
        const high: u21 = try reader.hex();
        if (high & 0xfc00 == 0xdc00) return error.Malformed;
        if (high & 0xfc00 != 0xd800) return high;
        try reader.expect('\\');
        try reader.expect('u');
        const low: u21 = try reader.hex();
        if (low & 0xfc00 != 0xdc00) return error.Malformed;
        return 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
    }

    fn hex(reader: *Reader) Malformed!u16 {
        var code: u16 = 0;
        for (0..4) |_| {
            const digit: u16 = switch (reader.peek()) {
                '0'...'9' => |byte| byte - '0',
                'a'...'f' => |byte| byte - 'a' + 10,
                'A'...'F' => |byte| byte - 'A' + 10,
                else => return error.Malformed,
            };
            code = code << 4 | digit;
            reader.at += 1;
        }
        return code;
    }

    fn number(reader: *Reader) Malformed![]const u8 {
        const start = reader.at;
        if (reader.peek() == '-') reader.at += 1;
        if (reader.peek() == '0') reader.at += 1 else try reader.digits();
        if (reader.peek() == '.') {
            reader.at += 1;
            try reader.digits();
        }
        if (reader.peek() | 0x20 == 'e') {
            reader.at += 1;
            if (reader.peek() == '+' or reader.peek() == '-') reader.at += 1;
            try reader.digits();
        }
        return reader.text[start..reader.at];
    }

    fn digits(reader: *Reader) Malformed!void {
        const start = reader.at;
        while (reader.peek() >= '0' and reader.peek() <= '9') reader.at += 1;
        if (reader.at == start) return error.Malformed;
    }

    fn word(reader: *Reader, letters: []const u8, meaning: Value) Malformed!Value {
        for (letters) |letter| try reader.expect(letter);
        return meaning;
    }

    fn space(reader: *Reader) void {
        while (true) switch (reader.peek()) {
            ' ', '\t', '\n', '\r' => reader.at += 1,
            else => return,
        };
    }

    fn expect(reader: *Reader, byte: u8) Malformed!void {
        if (reader.peek() != byte) return error.Malformed;
        reader.at += 1;
    }

    /// Zero at the end: no valid JSON has a zero byte in it.
    fn peek(reader: *const Reader) u8 {
        return if (reader.at < reader.text.len) reader.text[reader.at] else 0;
    }
};

/// Text that grows. What is not written by `raw` is valid JSON by itself.
pub const Writer = struct {
    room: []u8 = &.{},
    length: usize = 0,

    pub fn bytes(out: *const Writer) []u8 {
        return out.room[0..out.length];
    }

    pub fn raw(out: *Writer, text: []const u8) void {
        const end = out.length + text.len;
        if (end > out.room.len) out.room = memory.grow(out.room, end);
        @memcpy(out.room[out.length..end], text);
        out.length = end;
    }

    pub fn string(out: *Writer, text: []const u8) void {
        out.raw("\"");
        var plain: usize = 0; // text before this is written
        for (text, 0..) |byte, at| {
            if (byte >= 0x20 and byte != '"' and byte != '\\') continue;
            out.raw(text[plain..at]);
            plain = at + 1;
            switch (byte) {
                '\n' => out.raw("\\n"),
                '"' => out.raw("\\\""),
                '\\' => out.raw("\\\\"),
                else => {
                    const digits = "0123456789abcdef";
                    out.raw("\\u00");
                    out.raw(&.{ digits[byte >> 4], digits[byte & 15] });
                },
            }
        }
        out.raw(text[plain..]);
        out.raw("\"");
    }

    pub fn whole(out: *Writer, number: u64) void {
        var digits: [20]u8 = undefined;
        var at: usize = digits.len;
        var left = number;
        while (true) {
            at -= 1;
            digits[at] = '0' + @as(u8, @intCast(left % 10));
            left /= 10;
            if (left == 0) break;
        }
        out.raw(digits[at..]);
    }

    /// A number that is not negative, with four decimals, rounded half up.
    pub fn decimal(out: *Writer, number: f64) void {
        const scaled: u64 = @intFromFloat(number * 10_000 + 0.5);
        out.whole(scaled / 10_000);
        out.raw(".");
        var place: u64 = 1_000;
        while (place > 0) : (place /= 10) {
            out.raw(&.{'0' + @as(u8, @intCast(scaled / place % 10))});
        }
    }

    pub fn any(out: *Writer, value: Value) void {
        switch (value) {
            .null => out.raw("null"),
            .bool => |is_true| out.raw(if (is_true) "true" else "false"),
            .number => |text| out.raw(text),
            .string => |text| out.string(text),
            .array => |start| {
                out.raw("[");
                out.items(start, false);
                out.raw("]");
            },
            .object => |start| {
                out.raw("{");
                out.items(start, true);
                out.raw("}");
            },
        }
    }

    fn items(out: *Writer, start: ?*Item, named: bool) void {
        var item = start;
        while (item) |member| : (item = member.next) {
            if (member != start.?) out.raw(",");
            if (named) {
                out.string(member.name);
                out.raw(":");
            }
            out.any(member.value);
        }
    }
};
