//! Writes the text of each task into its journal, once, and answers with the entry.
//!
//! If the message has a second text part, the journal is read back as well. The answer
//! is JSON: {"at": when, "entry": what append answered, "read": what read answered}.

const akshi = @import("akshi");
pub const panic = akshi.panic;

comptime {
    akshi.guest();
}

pub fn run(task: akshi.Task) akshi.Failure![]const u8 {
    const first = task.parts.first() orelse return akshi.giveUp("the message is empty");
    const text = first.value.get("text").text() orelse return akshi.giveUp("want a text part");
    const at = try akshi.host.now();
    _ = try akshi.host.progress("writing");
    const entry = try akshi.journal.append("task", text);
    _ = try akshi.host.progress("written");
    var out: akshi.json.Writer = .{};
    out.raw("{\"at\":");
    out.string(at);
    out.raw(",\"entry\":");
    out.string(entry);
    if (first.next != null) {
        const entries = try akshi.journal.read("", 1000);
        out.raw(",\"read\":");
        out.string(entries);
    }
    out.raw("}");
    return akshi.textPart(out.bytes());
}
