/* What an agent in C needs: every host function of a node, with C's own types.
 *
 *     #include "akshi.h"
 *     bool akshi_run(const akshi_task *task, akshi_text *answer) {
 *         return akshi_journal_append(AKSHI("seen"), task->text, answer);
 *     }
 *
 * docs/spec/agent-abi.md says what each function does. A function that returns false was refused:
 * `akshi_refusal` says why; go on, or return false and the task fails with it. Texts are UTF-8 with
 * a length and no zero at the end. Memory lives until the task ends; nothing is freed before. */
#ifndef AKSHI_H
#define AKSHI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *at;
    size_t length;
} akshi_text;

/* A literal as a text. */
#define AKSHI(literal) ((akshi_text){(literal), sizeof(literal) - 1})
#define AKSHI_NONE ((akshi_text){0, 0})

typedef enum {
    AKSHI_CAPABILITY_DENIED,
    AKSHI_APPROVAL_DENIED,
    AKSHI_APPROVAL_TIMEOUT,
    AKSHI_NOT_ALLOWED,
    AKSHI_BUDGET_EXCEEDED,
    AKSHI_RATE_LIMITED,
    AKSHI_INVALID,
    AKSHI_UNAVAILABLE,
    AKSHI_UNKNOWN,
    AKSHI_CANCELLED,
    AKSHI_GAVE_UP, /* not of the node: the agent's own word */
} akshi_code;

typedef struct {
    akshi_code code;
    akshi_text why;
} akshi_fault;

/* Why the last function that returned false did. */
extern akshi_fault akshi_refusal;
/* The code in the words of the specification: `capability-denied`. */
akshi_text akshi_code_name(akshi_code code);
/* Ends the task as failed: `return akshi_give_up(AKSHI("no words"));`. Always false. */
bool akshi_give_up(akshi_text why);

typedef struct {
    akshi_text id, sender;
    akshi_text text;  /* the text parts, joined by line feeds */
    akshi_text parts; /* all parts, as JSON */
} akshi_task;

/* Yours: false fails the task with `akshi_refusal`. `*answer` becomes one text part. */
bool akshi_run(const akshi_task *task, akshi_text *answer);

/* ---- inference */
typedef struct {
    akshi_text prompt;
    akshi_text model;    /* AKSHI_NONE: the route of the configuration */
    uint32_t max_tokens; /* 0: the route's */
} akshi_question;
typedef struct {
    akshi_text text, model, finish, cost; /* cost: empty where nothing is paid */
    int64_t tokens_in, tokens_out;        /* -1: the provider did not say */
} akshi_reply;
bool akshi_inference_prompt(const akshi_question *question, akshi_reply *reply);

/* ---- journal */
typedef struct {
    akshi_text id, tag, text, originator, author; /* author: empty while it is staged */
    int64_t at_ms;                                /* -1 while it is staged */
    double score;                                 /* 0 where nothing was searched */
} akshi_entry;
typedef struct {
    akshi_entry *at;
    size_t count;
    akshi_text next; /* for the next `after`; empty: that was all */
} akshi_entries;
bool akshi_journal_append(akshi_text tag, akshi_text text, akshi_text *id);
bool akshi_journal_read(akshi_text after, uint32_t limit, akshi_entries *entries);
bool akshi_journal_search(akshi_text query, uint32_t limit, akshi_entries *entries);
/* mode: keyword, vector or hybrid */
bool akshi_journal_find(akshi_text query, akshi_text mode, uint32_t limit, akshi_entries *entries);

/* ---- database */
typedef enum { AKSHI_NULL, AKSHI_INTEGER, AKSHI_REAL, AKSHI_STRING, AKSHI_BYTES } akshi_kind;
typedef struct {
    akshi_kind kind;
    int64_t integer;
    double real;
    akshi_text text; /* a string, bytes, or a number as it was written */
} akshi_value;
typedef struct {
    akshi_value *at; /* row by row: value `column` of `row` is at[row * columns + column] */
    size_t rows, columns;
    int64_t changes, last_row_id; /* 0 after a query */
} akshi_rows;
bool akshi_database_query(akshi_text sql, const akshi_value *parameters, size_t count,
                          akshi_rows *rows);
bool akshi_database_execute(akshi_text sql, const akshi_value *parameters, size_t count,
                            akshi_rows *rows);

/* ---- http_fetch */
typedef struct {
    akshi_text name, value;
} akshi_header;
typedef struct {
    akshi_text url;
    akshi_text method; /* AKSHI_NONE: GET */
    const akshi_header *headers;
    size_t header_count;
    akshi_text body; /* AKSHI_NONE: none; text or bytes */
    uint32_t timeout_ms; /* 0: the node's */
    akshi_text payment;
} akshi_request;
typedef struct {
    int64_t status;
    akshi_header *headers; /* names in lower case */
    size_t header_count;
    akshi_text body; /* decoded */
    akshi_text url;
    akshi_text payment_required; /* JSON; empty where the node could not pay */
} akshi_response;
bool akshi_http_fetch(const akshi_request *request, akshi_response *response);

/* ---- a2a */
typedef struct {
    bool found; /* false: time is up */
    bool completed;
    akshi_text id, state, text, why;
    akshi_text parts; /* JSON */
} akshi_ended;
bool akshi_a2a_send(akshi_text target, akshi_text message, akshi_text *id);
bool akshi_a2a_wait(const akshi_text *ids, size_t count, uint32_t timeout_ms, akshi_ended *ended);
bool akshi_a2a_cancel(akshi_text id);

/* ---- mcp */
typedef struct {
    bool is_error;
    akshi_text text;                /* the text blocks, joined by line feeds */
    akshi_text content, structured; /* JSON */
} akshi_tool_answer;
bool akshi_mcp_list_tools(akshi_text server, akshi_text *tools, akshi_text *refused); /* JSON */
bool akshi_mcp_call_tool(akshi_text server, akshi_text tool, akshi_text arguments_json,
                         akshi_tool_answer *answer);

/* ---- filesystem */
typedef struct {
    akshi_text name;
    bool is_directory;
    int64_t bytes;
} akshi_file;
typedef struct {
    akshi_file *at;
    size_t count;
    akshi_text next;
} akshi_files;
bool akshi_filesystem_list_files(akshi_text path, akshi_text after, uint32_t limit,
                                 akshi_files *files);
bool akshi_filesystem_read_file(akshi_text path, akshi_text *content);

/* ---- spend: millionths of one unit */
typedef struct {
    int64_t amount_micros;
    akshi_text currency, rail, payee, memo, challenge;
} akshi_charge;
typedef struct {
    akshi_text payment, state;
    bool has_proof;
} akshi_payment;
typedef struct {
    akshi_text currency;
    int64_t daily_micros, spent_micros, left_micros;
    int64_t per_action_micros; /* -1: only the day bounds it */
    bool simulation, halted;
} akshi_balance;
bool akshi_spend_balance(akshi_balance *balance);
bool akshi_spend_quote(const akshi_charge *charge, bool *allowed, akshi_text *why);
bool akshi_spend_charge(const akshi_charge *charge, akshi_payment *payment);

/* ---- the task itself: always allowed */
bool akshi_task_progress(akshi_text text);
bool akshi_task_is_cancelled(bool *cancelled);
bool akshi_task_log(akshi_text level, akshi_text text); /* debug, info, warning or error */
bool akshi_task_now(int64_t *ms);
bool akshi_task_random(uint32_t count, uint8_t *bytes); /* room for `count` */

/* ---- texts and JSON */
void *akshi_take(size_t bytes); /* traps when there is no more */
bool akshi_same(akshi_text a, akshi_text b);

typedef struct {
    char *at;
    size_t length, room;
} akshi_out;
void akshi_put(akshi_out *out, akshi_text raw);
void akshi_put_json(akshi_out *out, akshi_text text); /* in quotes, escaped */
void akshi_put_number(akshi_out *out, int64_t number);
akshi_text akshi_written(const akshi_out *out);

/* A value inside JSON text, as it is written there; empty where there is none. */
akshi_text akshi_json_get(akshi_text object, const char *key);
bool akshi_json_each(akshi_text *rest, akshi_text *item); /* begin with *rest = an array */
akshi_text akshi_json_text(akshi_text value);             /* decoded; empty if it is no string */
int64_t akshi_json_integer(akshi_text value, int64_t otherwise);

#endif
