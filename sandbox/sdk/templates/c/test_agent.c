/* The agent without a node: `akshi_played` is the host. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "akshi_testing.h"

static bool may_note;
static char noted[64];

bool akshi_played(const char *function, const akshi_text texts[3], uint32_t number,
                  akshi_text *answer) {
    (void)number;
    if (!may_note || strcmp(function, "journal.append"))
        return akshi_refuses(AKSHI_CAPABILITY_DENIED, "not granted");
    snprintf(noted, sizeof noted, "%.*s", (int)texts[1].length, texts[1].at);
    return akshi_says(answer, "{\"id\": \"1\"}");
}

int main(void) {
    akshi_text said;

    may_note = true;
    assert(akshi_ask("to be", &said));
    assert(akshi_same(said, AKSHI("2 words, noted as 1")));
    assert(!strcmp(noted, "to be"));

    may_note = false; /* a refusal is not fatal */
    assert(akshi_ask("to be", &said));
    assert(akshi_same(said, AKSHI("2 words, not noted: capability-denied")));

    assert(!akshi_ask(" ", &said)); /* an empty message fails the task */
    assert(akshi_same(said, AKSHI("the message has no words")));

    puts("3 passed, 0 failed");
    return 0;
}
