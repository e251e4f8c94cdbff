/* Counts the words of a task, and notes the task in the journal if it may. */
#include "akshi.h"

static size_t words_of(akshi_text text) {
    size_t words = 0;
    bool between = true;
    for (size_t at = 0; at < text.length; at++) {
        char c = text.at[at];
        bool is_space = c == ' ' || (c >= '\t' && c <= '\r');
        words += between && !is_space;
        between = is_space;
    }
    return words;
}

bool akshi_run(const akshi_task *task, akshi_text *answer) {
    akshi_out out = {0};
    akshi_text entry;
    size_t words = words_of(task->text);
    if (!words) return akshi_give_up(AKSHI("the message has no words"));
    akshi_put_number(&out, (int64_t)words);
    if (akshi_journal_append(AKSHI("task"), task->text, &entry)) {
        akshi_put(&out, AKSHI(" words, noted as "));
        akshi_put(&out, entry);
    } else { /* a refusal is not fatal */
        akshi_put(&out, AKSHI(" words, not noted: "));
        akshi_put(&out, akshi_code_name(akshi_refusal.code));
    }
    *answer = akshi_written(&out);
    return true;
}
