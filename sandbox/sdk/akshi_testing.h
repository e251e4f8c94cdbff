/* Test an agent without a node: give `akshi_played`, then ask.
 *
 *     bool akshi_played(const char *function, const akshi_text texts[3], uint32_t number,
 *                       akshi_text *answer) {
 *         if (!strcmp(function, "journal.append")) return akshi_says(answer, "{\"id\":\"1\"}");
 *         return akshi_refuses(AKSHI_CAPABILITY_DENIED, "not granted");
 *     }
 *     bool ok = akshi_ask("hello", &said);   // said: the text, or why the task failed */
#ifndef AKSHI_TESTING_H
#define AKSHI_TESTING_H

#include "akshi_border.h"

static inline bool akshi_says(akshi_text *answer, const char *json) {
    *answer = akshi_zero(json);
    return true;
}

static inline bool akshi_refuses(akshi_code code, const char *why) {
    akshi_refusal.code = code;
    akshi_refusal.why = akshi_zero(why);
    return false;
}

/* One message to the agent: its text, or false and the reason that a sender would read. */
static inline bool akshi_ask(const char *text, akshi_text *said) {
    akshi_out task = {0};
    akshi_text answer, part = AKSHI_NONE;
    akshi_put(&task, AKSHI("{\"id\":\"00\",\"from\":\"did:key:zTest\",\"message\":{\"parts\":"));
    akshi_put(&task, AKSHI("[{\"text\":"));
    akshi_put_json(&task, akshi_zero(text));
    akshi_put(&task, AKSHI("}]}}"));
    bool ok = akshi_begin(akshi_written(&task), &answer);
    if (ok) akshi_json_each(&answer, &part);
    *said = ok ? akshi_json_text(akshi_json_get(part, "text")) : answer;
    return ok;
}

#endif
