//! Calls one function of each capability and answers with a JSON object of what it heard:
//! "ok" or the code of the fault. A refusal must not end an agent, so it asks for all.

const akshi = @import("akshi");
pub const panic = akshi.panic;

comptime {
    akshi.guest();
}

pub fn run(_: akshi.Task) akshi.Failure![]const u8 {
    var out: akshi.json.Writer = .{};
    heard(&out, "inference", akshi.inference.ask("{\"prompt\":\"hello\"}"));
    heard(&out, "journal", akshi.journal.read("", 1));
    heard(&out, "database", akshi.database.query("select 1", "[]"));
    const request = "{\"method\":\"GET\",\"url\":\"https://example.org/\"}";
    heard(&out, "http-fetch", akshi.http.fetch(request));
    heard(&out, "a2a", akshi.a2a.wait("[]", 0));
    heard(&out, "mcp", akshi.mcp.listTools("tools"));
    heard(&out, "filesystem", akshi.filesystem.listFiles("", "", 1));
    heard(&out, "spend", akshi.spend.balance());
    out.raw("}");
    return akshi.textPart(out.bytes());
}

fn heard(out: *akshi.json.Writer, name: []const u8, answer: akshi.Failure![]u8) void {
    out.raw(if (out.length == 0) "{" else ",");
    out.string(name);
    out.raw(":");
    if (answer) |_| {
        out.string("ok");
    } else |_| {
        out.string(if (akshi.fault.code) |code| @tagName(code) else akshi.fault.why);
    }
}
