/* JSON, base64 and memory: what akshi.c stands on, and where a node enters. */
#include "akshi_border.h"

akshi_text akshi_zero(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    return (akshi_text){text, length};
}

bool akshi_same(akshi_text a, akshi_text b) {
    if (a.length != b.length) return false;
    for (size_t at = 0; at < a.length; at++)
        if (a.at[at] != b.at[at]) return false;
    return true;
}

/* ---- writing */

void akshi_put(akshi_out *out, akshi_text raw) {
    size_t end = out->length + raw.length;
    if (end > out->room) {
        size_t room = end > 2 * out->room ? end : 2 * out->room;
        char *grown = akshi_take(room);
        for (size_t at = 0; at < out->length; at++) grown[at] = out->at[at];
        out->at = grown;
        out->room = room;
    }
    for (size_t at = 0; at < raw.length; at++) out->at[out->length + at] = raw.at[at];
    out->length = end;
}

void akshi_put_json(akshi_out *out, akshi_text text) {
    static const char hex[] = "0123456789abcdef";
    size_t plain = 0; /* what stands before this is written */
    akshi_put(out, AKSHI("\""));
    for (size_t at = 0; at < text.length; at++) {
        uint8_t byte = (uint8_t)text.at[at];
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        char escape[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
        akshi_put(out, (akshi_text){text.at + plain, at - plain});
        akshi_put(out, (akshi_text){escape, sizeof escape});
        plain = at + 1;
    }
    akshi_put(out, (akshi_text){text.at + plain, text.length - plain});
    akshi_put(out, AKSHI("\""));
}

void akshi_put_number(akshi_out *out, int64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do digits[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0) digits[--at] = '-';
    akshi_put(out, (akshi_text){digits + at, sizeof digits - at});
}

akshi_text akshi_written(const akshi_out *out) { return (akshi_text){out->at, out->length}; }

/* ---- reading: values stay where they are until they are asked for */

static const char *space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    return at;
}

/* Where the value that begins here ends; the node writes valid JSON. */
static const char *beyond(const char *at, const char *end) {
    size_t depth = 0;
    bool quoted = false;
    for (; at < end; at++) {
        if (quoted) {
            if (*at == '\\') at++;
            else if (*at == '"') quoted = false;
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0) return at;
            depth--;
        } else if (depth == 0 && (*at == ',' || *at == ':')) {
            return at;
        }
    }
    return end;
}

static akshi_text value_from(const char **at, const char *end) {
    const char *start = space(*at, end), *stop = beyond(start, end);
    *at = stop;
    while (stop > start && (stop[-1] == ' ' || stop[-1] == '\n' || stop[-1] == '\t')) stop--;
    return (akshi_text){start, (size_t)(stop - start)};
}

static const char *inside(akshi_text rest) {
    const char *at = space(rest.at, rest.at + rest.length), *end = rest.at + rest.length;
    if (at < end && (*at == '{' || *at == '[' || *at == ',')) return space(at + 1, end);
    return end;
}

bool akshi_json_each(akshi_text *rest, akshi_text *item) {
    const char *end = rest->at + rest->length, *at = rest->length ? inside(*rest) : end;
    if (at >= end || *at == ']' || *at == '}') return false;
    *item = value_from(&at, end);
    *rest = (akshi_text){at, (size_t)(end - at)};
    return true;
}

bool akshi_json_member(akshi_text *rest, akshi_text *name, akshi_text *value) {
    const char *end = rest->at + rest->length;
    if (!akshi_json_each(rest, name)) return false;
    const char *at = rest->at;
    if (at < end && *at == ':') at++;
    *value = value_from(&at, end);
    *rest = (akshi_text){at, (size_t)(end - at)};
    return true;
}

akshi_text akshi_json_get(akshi_text object, const char *key) {
    akshi_text name, value;
    if (!object.length || object.at[0] != '{') return AKSHI_NONE;
    while (akshi_json_member(&object, &name, &value))
        if (akshi_same(akshi_json_text(name), akshi_zero(key))) return value;
    return AKSHI_NONE;
}

static uint32_t hex4(const char *at) {
    uint32_t code = 0;
    for (size_t n = 0; n < 4; n++) {
        char digit = at[n];
        code = code << 4 | (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    return code;
}

static size_t put_utf8(char *to, uint32_t code) {
    if (code < 0x80) return to[0] = (char)code, 1;
    if (code < 0x800) return to[0] = (char)(0xc0 | code >> 6), to[1] = (char)(0x80 | (code & 63)), 2;
    size_t length = code < 0x10000 ? 3 : 4;
    to[0] = (char)((length == 3 ? 0xe0 : 0xf0) | code >> 6 * (length - 1));
    for (size_t n = 1; n < length; n++)
        to[n] = (char)(0x80 | (code >> 6 * (length - 1 - n) & 63));
    return length;
}

akshi_text akshi_json_text(akshi_text value) {
    if (value.length < 2 || value.at[0] != '"') return AKSHI_NONE;
    const char *at = value.at + 1, *end = value.at + value.length - 1;
    char *text = akshi_take((size_t)(end - at) + 1);
    size_t to = 0;
    while (at < end) {
        if (*at != '\\' || end - at < 2) {
            text[to++] = *at++;
            continue;
        }
        char escape = at[1];
        at += 2;
        if (escape == 'u' && end - at >= 4) {
            uint32_t code = hex4(at);
            at += 4;
            if (code >> 10 == 0x36 && end - at >= 6) {
                code = 0x10000 + ((code & 0x3ff) << 10 | (hex4(at + 2) & 0x3ff));
                at += 6;
            }
            to += put_utf8(text + to, code);
        } else {
            static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
            for (size_t n = 0; n < 5; n++)
                if (escape == from[n]) {
                    escape = into[n];
                    break;
                }
            text[to++] = escape;
        }
    }
    return (akshi_text){text, to};
}

int64_t akshi_json_integer(akshi_text value, int64_t otherwise) {
    size_t at = value.length && value.at[0] == '-';
    uint64_t number = 0;
    if (at == value.length) return otherwise;
    for (; at < value.length && value.at[at] >= '0' && value.at[at] <= '9'; at++)
        number = number * 10 + (uint64_t)(value.at[at] - '0');
    if (at != value.length) return otherwise;
    return (int64_t)(value.at[0] == '-' ? 0 - number : number);
}

/* Right to the last bit or two; the text of a value has all of it. */
double akshi_json_real(akshi_text value) {
    size_t at = value.length && value.at[0] == '-';
    double number = 0;
    int power = 0, exponent = 0;
    bool is_fraction = false, is_small = false;
    for (; at < value.length; at++) {
        char c = value.at[at];
        if (c == '.') is_fraction = true;
        else if (c < '0' || c > '9') break;
        else number = number * 10 + (c - '0'), power -= is_fraction;
    }
    if (at < value.length && (value.at[at] | 0x20) == 'e') {
        at++;
        is_small = at < value.length && value.at[at] == '-';
        if (at < value.length && (value.at[at] == '-' || value.at[at] == '+')) at++;
        for (; at < value.length && exponent < 400; at++)
            exponent = exponent * 10 + (value.at[at] - '0');
    }
    power += is_small ? -exponent : exponent;
    for (; power > 0; power--) number *= 10;
    for (; power < 0; power++) number /= 10;
    return value.length && value.at[0] == '-' ? -number : number;
}

/* ---- base64 */

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

akshi_text akshi_to_base64(akshi_text bytes) {
    char *out = akshi_take(bytes.length / 3 * 4 + 5);
    size_t to = 0;
    for (size_t at = 0; at < bytes.length; at += 3) {
        size_t left = bytes.length - at;
        uint32_t bits = (uint32_t)(uint8_t)bytes.at[at] << 16;
        if (left > 1) bits |= (uint32_t)(uint8_t)bytes.at[at + 1] << 8;
        if (left > 2) bits |= (uint8_t)bytes.at[at + 2];
        out[to++] = DIGITS[bits >> 18];
        out[to++] = DIGITS[bits >> 12 & 63];
        out[to++] = left > 1 ? DIGITS[bits >> 6 & 63] : '=';
        out[to++] = left > 2 ? DIGITS[bits & 63] : '=';
    }
    return (akshi_text){out, to};
}

akshi_text akshi_from_base64(akshi_text text) {
    char *out = akshi_take(text.length / 4 * 3 + 3);
    size_t to = 0;
    uint32_t bits = 0, kept = 0;
    for (size_t at = 0; at < text.length; at++) {
        uint32_t value = 0;
        while (value < 64 && DIGITS[value] != text.at[at]) value++;
        if (value == 64) break; /* the padding */
        bits = bits << 6 | value;
        kept += 6;
        if (kept >= 8) out[to++] = (char)(bits >> (kept -= 8));
    }
    return (akshi_text){out, to};
}

/* ---- memory, and the way in */

#ifdef __wasm__

extern unsigned char __heap_base;
static uintptr_t used;

void *akshi_take(size_t bytes) {
    uintptr_t start = used ? used : (uintptr_t)&__heap_base;
    start = (start + 7) & ~(uintptr_t)7;
    uintptr_t end = start + bytes;
    if (end < start) __builtin_trap();
    uintptr_t held = __builtin_wasm_memory_size(0) << 16;
    if (end > held && __builtin_wasm_memory_grow(0, (end - held + 65535) >> 16) == (size_t)-1)
        __builtin_trap();
    used = end;
    return (void *)start;
}

/* How the node finds room for the strings that it hands over. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_length,
                                                                size_t alignment, size_t length) {
    (void)alignment; /* never more than 8 */
    char *room = akshi_take(length);
    size_t kept = old_length < length ? old_length : length;
    for (size_t at = 0; at < kept; at++) room[at] = ((char *)old)[at];
    return room;
}

static struct {
    uint32_t is_err;
    akshi_text text;
} returned;

__attribute__((export_name("run"))) void *akshi_enter(const char *at, size_t length) {
    returned.is_err = !akshi_begin((akshi_text){at, length}, &returned.text);
    return &returned;
}

/* The task is over, and so is everything it took. */
__attribute__((export_name("cabi_post_run"))) void akshi_leave(void *area) {
    (void)area;
    used = 0;
}

/* The compiler may ask for these where the source has a loop or an assignment. */
void *memcpy(void *to, const void *from, size_t length) {
    for (size_t at = 0; at < length; at++) ((char *)to)[at] = ((const char *)from)[at];
    return to;
}

void *memset(void *to, int byte, size_t length) {
    for (size_t at = 0; at < length; at++) ((char *)to)[at] = (char)byte;
    return to;
}

#else

#include <stdlib.h>

void *akshi_take(size_t bytes) {
    void *room = malloc(bytes + 1);
    if (!room) abort();
    return room;
}

#endif
