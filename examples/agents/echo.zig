//! Returns the text parts of the message as they came.

const akshi = @import("akshi");
pub const panic = akshi.panic;

comptime {
    akshi.guest();
}

pub fn run(task: akshi.Task) akshi.Failure![]const u8 {
    var out: akshi.json.Writer = .{};
    var item = task.parts.first();
    while (item) |part| : (item = part.next) {
        const text = part.value.get("text").text() orelse continue;
        out.raw(if (out.length == 0) "[{\"text\":" else ",{\"text\":");
        out.string(text);
        out.raw("}");
    }
    if (out.length == 0) return akshi.giveUp("the message has no text part");
    out.raw("]");
    return out.bytes();
}
