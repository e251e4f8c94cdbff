//! Glue between a Zig agent and the world of sandbox/wit/akshi.wit.
//!
//! An agent is one file with `pub fn run(task: akshi.Task) akshi.Failure![]const u8` and
//! `comptime { akshi.guest(); }`; it returns a JSON array of A2A parts. Everything in the
//! world is a string or a number, so the canonical ABI is short: a string is (pointer,
//! length), a result is written to 16 bytes that the caller provides, and whoever hands us
//! a string asks `cabi_realloc` for the room.

const root = @import("root");
const std = @import("std");
pub const json = @import("json.zig");
pub const memory = @import("memory.zig");
/// An agent's root file says `pub const panic = akshi.panic;`: a trap needs no message.
pub const panic = std.debug.no_panic;

pub const Code = enum(u8) {
    @"capability-denied",
    @"approval-denied",
    @"approval-timeout",
    @"not-allowed",
    @"budget-exceeded",
    @"rate-limited",
    invalid,
    unavailable,
    unknown,
    cancelled,
};

/// Why the last call was not answered, or why the agent gives up.
pub const Fault = struct { code: ?Code, why: []const u8 };
pub var fault: Fault = .{ .code = null, .why = "" };
pub const Failure = error{ Refused, GaveUp };

/// Ends the task as failed: `return akshi.giveUp("the question is empty")`.
pub fn giveUp(why: []const u8) Failure {
    fault = .{ .code = null, .why = why };
    return error.GaveUp;
}

/// result<string, fault> as the canonical ABI lays it out in memory.
const Returned = extern struct {
    is_fault: u8,
    head: extern union { ok: u32, code: u8 },
    middle: u32,
    tail: u32,

    fn answer(from: *const Returned) Failure![]u8 {
        if (from.is_fault == 0) return slice(from.head.ok, from.middle);
        const code: Code = @fromBackingInt(from.head.code);
        fault = .{ .code = code, .why = slice(from.middle, from.tail) };
        return error.Refused;
    }
};

fn slice(pointer: u32, length: u32) []u8 {
    if (length == 0) return &.{};
    return @as([*]u8, @ptrFromInt(pointer))[0..length];
}

const String = []const u8;
const Pointer = [*]const u8;
const Area = *Returned;

pub const inference = struct {
    extern "akshi:agent/inference@0.1.0" fn prompt(Pointer, usize, Area) void;
    pub fn ask(request: String) Failure![]u8 {
        return call(prompt, .{request});
    }
};

pub const journal = struct {
    const raw = struct {
        extern "akshi:agent/journal@0.1.0" fn append(Pointer, usize, Pointer, usize, Area) void;
        extern "akshi:agent/journal@0.1.0" fn read(Pointer, usize, u32, Area) void;
        extern "akshi:agent/journal@0.1.0" fn search(Pointer, usize, u32, Area) void;
        extern "akshi:agent/journal@0.1.0" fn find(Pointer, usize, Area) void;
    };
    pub fn append(tag: String, text: String) Failure![]u8 {
        return call(raw.append, .{ tag, text });
    }
    pub fn read(after: String, limit: u32) Failure![]u8 {
        return call(raw.read, .{ after, limit });
    }
    pub fn search(query: String, limit: u32) Failure![]u8 {
        return call(raw.search, .{ query, limit });
    }
    pub fn find(request: String) Failure![]u8 {
        return call(raw.find, .{request});
    }
};

pub const database = struct {
    const raw = struct {
        extern "akshi:agent/database@0.1.0" fn query(Pointer, usize, Pointer, usize, Area) void;
        extern "akshi:agent/database@0.1.0" fn execute(Pointer, usize, Pointer, usize, Area) void;
    };
    pub fn query(sql: String, parameters: String) Failure![]u8 {
        return call(raw.query, .{ sql, parameters });
    }
    pub fn execute(sql: String, parameters: String) Failure![]u8 {
        return call(raw.execute, .{ sql, parameters });
    }
};

pub const http = struct {
    const raw = struct {
        extern "akshi:agent/http-fetch@0.1.0" fn fetch(Pointer, usize, Area) void;
    };
    pub fn fetch(request: String) Failure![]u8 {
        return call(raw.fetch, .{request});
    }
};

pub const a2a = struct {
    const raw = struct {
        extern "akshi:agent/a2a@0.1.0" fn send(Pointer, usize, Pointer, usize, Area) void;
        extern "akshi:agent/a2a@0.1.0" fn wait(Pointer, usize, u32, Area) void;
        extern "akshi:agent/a2a@0.1.0" fn cancel(Pointer, usize, Area) void;
    };
    pub fn send(target: String, parts: String) Failure![]u8 {
        return call(raw.send, .{ target, parts });
    }
    pub fn wait(ids: String, timeout_ms: u32) Failure![]u8 {
        return call(raw.wait, .{ ids, timeout_ms });
    }
    pub fn cancel(id: String) Failure![]u8 {
        return call(raw.cancel, .{id});
    }

    /// A task that ended, out of the A2A Task that `wait` answers with.
    pub const Ended = struct {
        id: []const u8,
        completed: bool,
        /// Of the first artifact; null if there is none.
        parts: json.Value,
        /// What the status says in words; empty if nothing.
        why: []const u8,
    };

    /// Waits for the first of `ids` (a JSON array) to end; null if none did in time.
    pub fn ended(ids: String, timeout_ms: u32) Failure!?Ended {
        const task = json.parse(try wait(ids, timeout_ms)) catch
            return giveUp("the answer of a2a.wait is not JSON");
        if (task == .null) return null;
        const status = task.get("status");
        const state = status.get("state").text() orelse "";
        const artifact = task.get("artifacts").first();
        return .{
            .id = task.get("id").text() orelse "",
            .completed = std.mem.eql(u8, state, "TASK_STATE_COMPLETED"),
            .parts = if (artifact) |item| item.value.get("parts") else .null,
            .why = joined(status.get("message").get("parts")) catch state,
        };
    }
};

pub const mcp = struct {
    const raw = struct {
        extern "akshi:agent/mcp@0.1.0" fn @"list-tools"(Pointer, usize, Area) void;
        extern "akshi:agent/mcp@0.1.0" fn @"call-tool"(
            Pointer,
            usize,
            Pointer,
            usize,
            Pointer,
            usize,
            Area,
        ) void;
    };
    pub fn listTools(server: String) Failure![]u8 {
        return call(raw.@"list-tools", .{server});
    }
    pub fn callTool(server: String, tool: String, arguments: String) Failure![]u8 {
        return call(raw.@"call-tool", .{ server, tool, arguments });
    }
};

pub const filesystem = struct {
    const raw = struct {
        extern "akshi:agent/filesystem@0.1.0" fn @"list-files"(
            Pointer,
            usize,
            Pointer,
            usize,
            u32,
            Area,
        ) void;
        extern "akshi:agent/filesystem@0.1.0" fn @"read-file"(Pointer, usize, Area) void;
    };
    pub fn listFiles(path: String, after: String, limit: u32) Failure![]u8 {
        return call(raw.@"list-files", .{ path, after, limit });
    }
    pub fn readFile(path: String) Failure![]u8 {
        return call(raw.@"read-file", .{path});
    }
};

pub const spend = struct {
    const raw = struct {
        extern "akshi:agent/spend@0.1.0" fn balance(Area) void;
        extern "akshi:agent/spend@0.1.0" fn quote(Pointer, usize, Area) void;
        extern "akshi:agent/spend@0.1.0" fn charge(Pointer, usize, Area) void;
    };
    pub fn balance() Failure![]u8 {
        return call(raw.balance, .{});
    }
    pub fn quote(request: String) Failure![]u8 {
        return call(raw.quote, .{request});
    }
    pub fn charge(request: String) Failure![]u8 {
        return call(raw.charge, .{request});
    }
};

/// What every agent may always do: it reaches nothing but the task itself.
pub const host = struct {
    const raw = struct {
        extern "akshi:agent/task@0.1.0" fn progress(Pointer, usize, Area) void;
        extern "akshi:agent/task@0.1.0" fn @"is-cancelled"(Area) void;
        extern "akshi:agent/task@0.1.0" fn log(Pointer, usize, Pointer, usize, Area) void;
        extern "akshi:agent/task@0.1.0" fn now(Area) void;
        extern "akshi:agent/task@0.1.0" fn random(u32, Area) void;
    };
    pub fn progress(text: String) Failure![]u8 {
        return call(raw.progress, .{text});
    }
    pub fn isCancelled() Failure![]u8 {
        return call(raw.@"is-cancelled", .{});
    }
    pub fn log(level: String, text: String) Failure![]u8 {
        return call(raw.log, .{ level, text });
    }
    pub fn now() Failure![]u8 {
        return call(raw.now, .{});
    }
    pub fn random(bytes: u32) Failure![]u8 {
        return call(raw.random, .{bytes});
    }
};

/// Flattens strings to (pointer, length), as the canonical ABI does.
inline fn call(comptime import: anytype, arguments: anytype) Failure![]u8 {
    var returned: Returned = undefined;
    var flat: std.meta.ArgsTuple(@TypeOf(import)) = undefined;
    comptime var at = 0;
    inline for (arguments) |argument| {
        if (@TypeOf(argument) == u32) {
            flat[at] = argument;
            at += 1;
        } else {
            flat[at] = argument.ptr;
            flat[at + 1] = argument.len;
            at += 2;
        }
    }
    flat[at] = &returned;
    @call(.auto, import, flat);
    return returned.answer();
}

/// The task as the node hands it over.
pub const Task = struct {
    id: []const u8,
    sender: []const u8,
    parts: json.Value,

    fn parse(text: []u8) Failure!Task {
        const task = json.parse(text) catch return giveUp("the task is not JSON");
        return .{
            .id = task.get("id").text() orelse "",
            .sender = task.get("from").text() orelse "",
            .parts = task.get("message").get("parts"),
        };
    }

    /// The text parts, joined by line feeds.
    pub fn words(task: Task) Failure![]u8 {
        return joined(task.parts);
    }
};

/// The text of an array of A2A parts, joined by line feeds; gives up if there is none.
pub fn joined(parts: json.Value) Failure![]u8 {
    var out: json.Writer = .{};
    var found = false;
    var item = parts.first();
    while (item) |part| : (item = part.next) {
        const words = part.value.get("text").text() orelse continue;
        if (found) out.raw("\n");
        out.raw(words);
        found = true;
    }
    if (!found) return giveUp("the message has no text part");
    return out.bytes();
}

/// One text part, as `run` and `a2a.send` want it.
pub fn textPart(text: []const u8) []u8 {
    var out: json.Writer = .{};
    out.raw("[{\"text\":");
    out.string(text);
    out.raw("}]");
    return out.bytes();
}

/// Export this from an agent's root file: `comptime { akshi.guest(); }`.
pub fn guest() void {
    @export(&enter, .{ .name = "run" });
    @export(&leave, .{ .name = "cabi_post_run" });
    @export(&memory.reallocate, .{ .name = "cabi_realloc" });
}

var returned_area: extern struct { is_err: u8, text: u32, length: u32 } = undefined;

fn enter(pointer: u32, length: u32) callconv(.c) *anyopaque {
    if (begin(slice(pointer, length))) |ok| {
        returned_area = .{ .is_err = 0, .text = @intFromPtr(ok.ptr), .length = ok.len };
    } else |_| {
        const why = reason();
        returned_area = .{ .is_err = 1, .text = @intFromPtr(why.ptr), .length = why.len };
    }
    return &returned_area;
}

fn begin(task: []u8) Failure![]const u8 {
    return root.run(try Task.parse(task));
}

fn reason() []const u8 {
    const code = fault.code orelse return fault.why;
    var out: json.Writer = .{};
    out.raw(@tagName(code));
    out.raw(": ");
    out.raw(fault.why);
    return out.bytes();
}

fn leave(_: u32) callconv(.c) void {
    memory.release(0);
}
