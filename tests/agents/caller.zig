//! Makes the calls that its message names, and answers with what each of them answered.
//!
//! The message is a JSON array of arrays, ["database.query", "SELECT 1", "[]"], with texts for
//! texts and numbers for numbers. The answer is a JSON array: {"ok": "…"} or
//! {"code": "…", "why": "…"} for each.

const std = @import("std");
const akshi = @import("akshi");
pub const panic = akshi.panic;

comptime {
    akshi.guest();
}

pub fn run(task: akshi.Task) akshi.Failure![]const u8 {
    const calls = akshi.json.parse(try task.words()) catch return akshi.giveUp("want JSON");
    var out: akshi.json.Writer = .{};
    out.raw("[");
    var next = calls.first();
    while (next) |item| : (next = item.next) {
        if (out.length > 1) out.raw(",");
        if (made(item.value)) |answer| {
            out.raw("{\"ok\":");
            out.string(answer);
        } else |_| {
            out.raw("{\"code\":");
            out.string(if (akshi.fault.code) |code| @tagName(code) else "");
            out.raw(",\"why\":");
            out.string(akshi.fault.why);
        }
        out.raw("}");
    }
    out.raw("]");
    return akshi.textPart(out.bytes());
}

fn made(call: akshi.json.Value) akshi.Failure![]u8 {
    const name = call.first() orelse return akshi.giveUp("want a name");
    var texts: [3][]const u8 = .{ "", "", "" };
    var number: u32 = 0;
    var count: usize = 0;
    var next = name.next;
    while (next) |item| : (next = item.next) {
        if (item.value.whole()) |whole| {
            number = @truncate(whole);
        } else if (item.value.text()) |text| {
            if (count == texts.len) return akshi.giveUp("too many arguments");
            texts[count] = text;
            count += 1;
        }
    }
    return chosen(name.value.text() orelse "", texts, number);
}

fn chosen(name: []const u8, texts: [3][]const u8, number: u32) akshi.Failure![]u8 {
    if (is(name, "inference.prompt")) return akshi.inference.ask(texts[0]);
    if (is(name, "journal.append")) return akshi.journal.append(texts[0], texts[1]);
    if (is(name, "journal.read")) return akshi.journal.read(texts[0], number);
    if (is(name, "journal.search")) return akshi.journal.search(texts[0], number);
    if (is(name, "journal.find")) return akshi.journal.find(texts[0]);
    if (is(name, "database.query")) return akshi.database.query(texts[0], texts[1]);
    if (is(name, "database.execute")) return akshi.database.execute(texts[0], texts[1]);
    if (is(name, "http-fetch.fetch")) return akshi.http.fetch(texts[0]);
    if (is(name, "a2a.send")) return akshi.a2a.send(texts[0], texts[1]);
    if (is(name, "a2a.wait")) return akshi.a2a.wait(texts[0], number);
    if (is(name, "mcp.list-tools")) return akshi.mcp.listTools(texts[0]);
    if (is(name, "mcp.call-tool")) return akshi.mcp.callTool(texts[0], texts[1], texts[2]);
    if (is(name, "filesystem.list-files"))
        return akshi.filesystem.listFiles(texts[0], texts[1], number);
    if (is(name, "filesystem.read-file")) return akshi.filesystem.readFile(texts[0]);
    if (is(name, "spend.balance")) return akshi.spend.balance();
    if (is(name, "spend.quote")) return akshi.spend.quote(texts[0]);
    if (is(name, "spend.charge")) return akshi.spend.charge(texts[0]);
    if (is(name, "task.progress")) return akshi.host.progress(texts[0]);
    if (is(name, "task.now")) return akshi.host.now();
    if (is(name, "task.random")) return akshi.host.random(number);
    return akshi.giveUp("no such function");
}

fn is(name: []const u8, other: []const u8) bool {
    return std.mem.eql(u8, name, other);
}
