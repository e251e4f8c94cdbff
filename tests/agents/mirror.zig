//! Reads the text of the message as JSON and writes it again, so that a test can compare
//! the reader and writer of the SDK with another one.

const akshi = @import("akshi");
pub const panic = akshi.panic;

comptime {
    akshi.guest();
}

pub fn run(task: akshi.Task) akshi.Failure![]const u8 {
    const value = akshi.json.parse(try task.words()) catch return akshi.giveUp("malformed");
    var out: akshi.json.Writer = .{};
    out.any(value);
    return akshi.textPart(out.bytes());
}
