/* Fields of requests and answers, for akshi.c and akshi_outside.c. Not for agents. */
#ifndef AKSHI_FIELDS_H
#define AKSHI_FIELDS_H

#include "akshi_border.h"

static inline bool odd_answer(void) { return akshi_give_up(AKSHI("the node answered something else")); }

/* Fields of a request: the first one opens the object. */
static inline void key(akshi_out *out, const char *name) {
    akshi_put(out, out->length ? AKSHI(",") : AKSHI("{"));
    akshi_put_json(out, akshi_zero(name));
    akshi_put(out, AKSHI(":"));
}

static inline void text_field(akshi_out *out, const char *name, akshi_text value) {
    if (!value.at) return;
    key(out, name);
    akshi_put_json(out, value);
}

static inline void number_field(akshi_out *out, const char *name, int64_t value) {
    key(out, name);
    akshi_put_number(out, value);
}

static inline akshi_text object(akshi_out *out) {
    akshi_put(out, out->length ? AKSHI("}") : AKSHI("{}"));
    return akshi_written(out);
}

static inline akshi_text field(akshi_text answer, const char *name) {
    return akshi_json_text(akshi_json_get(answer, name));
}

static inline int64_t whole(akshi_text answer, const char *name, int64_t otherwise) {
    return akshi_json_integer(akshi_json_get(answer, name), otherwise);
}

static inline bool truth(akshi_text answer, const char *name) {
    return akshi_same(akshi_json_get(answer, name), AKSHI("true"));
}

static inline size_t items(akshi_text array) {
    size_t count = 0;
    akshi_text item;
    while (akshi_json_each(&array, &item)) count++;
    return count;
}

/* Never too small for what `items` counted. */
static inline void *many(size_t count, size_t bytes) { return akshi_take(count * bytes + 1); }

static inline akshi_text joined(akshi_text parts) {
    akshi_out out = {0};
    akshi_text part;
    bool first = true;
    while (akshi_json_each(&parts, &part)) {
        akshi_text text = akshi_json_get(part, "text");
        if (!text.length) continue;
        if (!first) akshi_put(&out, AKSHI("\n"));
        first = false;
        akshi_put(&out, akshi_json_text(text));
    }
    return akshi_written(&out);
}

static inline akshi_text one_part(akshi_text text) {
    akshi_out out = {0};
    akshi_put(&out, AKSHI("[{\"text\":"));
    akshi_put_json(&out, text);
    akshi_put(&out, AKSHI("}]"));
    return akshi_written(&out);
}

#endif
