/* The border below akshi.c: one call with up to three texts and one number. In a guest it is the
 * canonical ABI of the component model, in a test a function of the test. Not for agents. */
#ifndef AKSHI_BORDER_H
#define AKSHI_BORDER_H

#include "akshi.h"

/* Each function of the world: its name here, its interface and name there, what it takes. */
#define AKSHI_FUNCTIONS(X)                                    \
    X(inference_prompt, "inference", "prompt", T1)            \
    X(journal_append, "journal", "append", T2)                \
    X(journal_read, "journal", "read", T1N)                   \
    X(journal_search, "journal", "search", T1N)               \
    X(journal_find, "journal", "find", T1)                    \
    X(database_query, "database", "query", T2)                \
    X(database_execute, "database", "execute", T2)            \
    X(http_fetch, "http-fetch", "fetch", T1)                  \
    X(a2a_send, "a2a", "send", T2)                            \
    X(a2a_wait, "a2a", "wait", T1N)                           \
    X(a2a_cancel, "a2a", "cancel", T1)                        \
    X(mcp_list_tools, "mcp", "list-tools", T1)                \
    X(mcp_call_tool, "mcp", "call-tool", T3)                  \
    X(filesystem_list_files, "filesystem", "list-files", T2N) \
    X(filesystem_read_file, "filesystem", "read-file", T1)    \
    X(spend_balance, "spend", "balance", T0)                  \
    X(spend_quote, "spend", "quote", T1)                      \
    X(spend_charge, "spend", "charge", T1)                    \
    X(task_progress, "task", "progress", T1)                  \
    X(task_is_cancelled, "task", "is-cancelled", T0)          \
    X(task_log, "task", "log", T2)                            \
    X(task_now, "task", "now", T0)                            \
    X(task_random, "task", "random", T0N)

/* What the agent's `akshi_run` makes of a task; false: `*answer` is the reason in words. */
bool akshi_begin(akshi_text task_json, akshi_text *answer_json);

akshi_text akshi_zero(const char *text); /* of a text that ends with a zero */
bool akshi_json_member(akshi_text *rest, akshi_text *name, akshi_text *value);
double akshi_json_real(akshi_text value);
akshi_text akshi_to_base64(akshi_text bytes);
akshi_text akshi_from_base64(akshi_text text);

#ifdef __wasm__

/* result<string, fault>, as the canonical ABI lays it out. */
typedef struct {
    uint8_t is_fault;
    union {
        const char *ok;
        uint8_t code;
    } head;
    uintptr_t middle;
    size_t tail;
} akshi_area;

#define T0 akshi_area *area
#define T0N uint32_t number, T0
#define T1 const char *a, size_t a_length, T0
#define T1N const char *a, size_t a_length, T0N
#define T2 const char *a, size_t a_length, const char *b, size_t b_length, T0
#define T2N const char *a, size_t a_length, const char *b, size_t b_length, T0N
#define T3 const char *a, size_t a_length, const char *b, size_t b_length, const char *c, \
           size_t c_length, T0
#define AKSHI_IMPORT(function, interface, name, shape)                      \
    __attribute__((import_module("akshi:agent/" interface "@0.1.0"), \
                   import_name(name))) void akshi_host_##function(shape);
AKSHI_FUNCTIONS(AKSHI_IMPORT)
#undef T0
#undef T0N
#undef T1
#undef T1N
#undef T2
#undef T2N
#undef T3

static inline bool akshi_told(const akshi_area *area, akshi_text *answer) {
    if (!area->is_fault) {
        *answer = (akshi_text){area->head.ok, area->middle};
        return true;
    }
    akshi_refusal.code = (akshi_code)area->head.code;
    akshi_refusal.why = (akshi_text){(const char *)area->middle, area->tail};
    return false;
}

#define FLAT_T0
#define FLAT_T0N number,
#define FLAT_T1 a.at, a.length,
#define FLAT_T1N FLAT_T1 FLAT_T0N
#define FLAT_T2 FLAT_T1 b.at, b.length,
#define FLAT_T2N FLAT_T2 FLAT_T0N
#define FLAT_T3 FLAT_T2 c.at, c.length,
/* One function each, so that the linker drops what an agent does not call. */
#define AKSHI_CALLER(function, interface, name, shape)                                     \
    static inline bool akshi_call_##function(akshi_text a, akshi_text b, akshi_text c,     \
                                             uint32_t number, akshi_text *answer) {        \
        akshi_area area;                                                                   \
        (void)a, (void)b, (void)c, (void)number;                                           \
        akshi_host_##function(FLAT_##shape &area);                                         \
        return akshi_told(&area, answer);                                                  \
    }

#else

/* Yours, in a test: see akshi_testing.h. */
bool akshi_played(const char *function, const akshi_text texts[3], uint32_t number,
                  akshi_text *answer);

#define AKSHI_CALLER(function, interface, name, shape)                                     \
    static inline bool akshi_call_##function(akshi_text a, akshi_text b, akshi_text c,     \
                                             uint32_t number, akshi_text *answer) {        \
        const akshi_text texts[3] = {a, b, c};                                             \
        return akshi_played(interface "." name, texts, number, answer);                    \
    }

#endif

AKSHI_FUNCTIONS(AKSHI_CALLER)

#endif
