//! One bump allocator: a task takes memory and the end of the task gives all of it back.
//!
//! An agent that reads much in one task brackets each step with `mark` and `release`.

const std = @import("std");

const page_bytes = 65536;
const heap_base = @extern(*u8, .{ .name = "__heap_base" });

var used: usize = 0;
var held: usize = 0;

/// Where the next allocation would go; hand it to `release` to drop all that came after.
pub fn mark() usize {
    return used;
}

pub fn release(to: usize) void {
    used = to;
}

/// Traps when the host grants no more pages: an agent without memory has nothing to say.
pub fn take(length: usize, alignment: usize) [*]u8 {
    const base = @intFromPtr(heap_base);
    const start = std.mem.alignForward(usize, base + used, alignment);
    const end, const overflowed = @addWithOverflow(start, length);
    if (overflowed != 0) @trap();
    if (held == 0) held = @wasmMemorySize(0) * page_bytes;
    if (end > held) {
        const pages = (end - held - 1) / page_bytes + 1;
        if (@wasmMemoryGrow(0, pages) < 0) @trap();
        held += pages * page_bytes;
    }
    used = end - base;
    return @ptrFromInt(start);
}

pub fn bytes(length: usize) []u8 {
    return take(length, 1)[0..length];
}

pub fn one(comptime T: type) *T {
    return @ptrCast(@alignCast(take(@sizeOf(T), @alignOf(T))));
}

pub fn many(comptime T: type, count: usize) []T {
    const start: [*]T = @ptrCast(@alignCast(take(count * @sizeOf(T), @alignOf(T))));
    return start[0..count];
}

/// Doubles `old` to hold `wanted` at least; in place when nothing came after it.
pub fn grow(old: []u8, wanted: usize) []u8 {
    const base = @intFromPtr(heap_base);
    const capacity = @max(wanted, old.len * 2, 64);
    if (old.len > 0 and @intFromPtr(old.ptr) + old.len == base + used) {
        _ = take(capacity - old.len, 1);
        return old.ptr[0..capacity];
    }
    const new = bytes(capacity);
    @memcpy(new[0..old.len], old);
    return new;
}

/// `cabi_realloc`: how the host finds room for the strings it hands over.
pub fn reallocate(old: u32, old_length: u32, alignment: u32, length: u32) callconv(.c) u32 {
    const new = take(length, alignment);
    const kept = @min(old_length, length);
    if (kept > 0) @memcpy(new[0..kept], @as([*]const u8, @ptrFromInt(old))[0..kept]);
    return @intFromPtr(new);
}
