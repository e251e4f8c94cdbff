/* What an agent keeps and asks: inference, journal, database; and how its task begins. */
#include "akshi_fields.h"

akshi_fault akshi_refusal;

static const char *const CODES[] = {
    "capability-denied", "approval-denied", "approval-timeout", "not-allowed",
    "budget-exceeded",   "rate-limited",    "invalid",          "unavailable",
    "unknown",           "cancelled",       "gave-up",
};

akshi_text akshi_code_name(akshi_code code) {
    return code <= AKSHI_GAVE_UP ? akshi_zero(CODES[code]) : AKSHI("unknown");
}

bool akshi_give_up(akshi_text why) {
    akshi_refusal.code = AKSHI_GAVE_UP;
    akshi_refusal.why = why;
    return false;
}

bool akshi_begin(akshi_text json, akshi_text *answer) {
    akshi_task task = {.id = field(json, "id"), .sender = field(json, "from")};
    akshi_text said = AKSHI_NONE;
    task.parts = akshi_json_get(akshi_json_get(json, "message"), "parts");
    task.text = joined(task.parts);
    if (akshi_run(&task, &said)) {
        *answer = one_part(said);
        return true;
    }
    if (akshi_refusal.code == AKSHI_GAVE_UP) {
        *answer = akshi_refusal.why;
        return false;
    }
    akshi_out out = {0};
    akshi_put(&out, akshi_code_name(akshi_refusal.code));
    akshi_put(&out, AKSHI(": "));
    akshi_put(&out, akshi_refusal.why);
    *answer = akshi_written(&out);
    return false;
}

bool akshi_inference_prompt(const akshi_question *question, akshi_reply *reply) {
    akshi_out out = {0};
    akshi_text answer;
    text_field(&out, "prompt", question->prompt);
    text_field(&out, "model", question->model);
    if (question->max_tokens) number_field(&out, "max_tokens", question->max_tokens);
    if (!akshi_call_inference_prompt(object(&out), AKSHI_NONE, AKSHI_NONE, 0, &answer))
        return false;
    akshi_text usage = akshi_json_get(answer, "usage");
    *reply = (akshi_reply){
        .text = field(answer, "text"),
        .model = field(answer, "model"),
        .finish = field(answer, "finish"),
        .cost = field(answer, "cost"),
        .tokens_in = whole(usage, "tokens_in", -1),
        .tokens_out = whole(usage, "tokens_out", -1),
    };
    return true;
}

bool akshi_journal_append(akshi_text tag, akshi_text text, akshi_text *id) {
    akshi_text answer;
    if (!akshi_call_journal_append(tag, text, AKSHI_NONE, 0, &answer)) return false;
    *id = field(answer, "id");
    return true;
}

static bool read_entries(akshi_text answer, akshi_entries *entries) {
    akshi_text list = akshi_json_get(answer, "entries"), item;
    size_t at = 0;
    entries->count = items(list);
    entries->at = many(entries->count, sizeof(akshi_entry));
    entries->next = field(answer, "next");
    while (akshi_json_each(&list, &item)) {
        entries->at[at++] = (akshi_entry){
            .id = field(item, "id"),
            .tag = field(item, "tag"),
            .text = field(item, "text"),
            .originator = field(item, "originator"),
            .author = field(item, "author"),
            .at_ms = whole(item, "at_ms", -1),
            .score = akshi_json_real(akshi_json_get(item, "score")),
        };
    }
    return true;
}

bool akshi_journal_read(akshi_text after, uint32_t limit, akshi_entries *entries) {
    akshi_text answer;
    return akshi_call_journal_read(after, AKSHI_NONE, AKSHI_NONE, limit, &answer) &&
           read_entries(answer, entries);
}

bool akshi_journal_search(akshi_text query, uint32_t limit, akshi_entries *entries) {
    akshi_text answer;
    return akshi_call_journal_search(query, AKSHI_NONE, AKSHI_NONE, limit, &answer) &&
           read_entries(answer, entries);
}

bool akshi_journal_find(akshi_text query, akshi_text mode, uint32_t limit,
                        akshi_entries *entries) {
    akshi_out out = {0};
    akshi_text answer;
    text_field(&out, "query", query);
    text_field(&out, "mode", mode);
    number_field(&out, "limit", limit);
    return akshi_call_journal_find(object(&out), AKSHI_NONE, AKSHI_NONE, 0, &answer) &&
           read_entries(answer, entries);
}

static akshi_text list_of(const akshi_value *values, size_t count) {
    akshi_out out = {0};
    akshi_put(&out, AKSHI("["));
    for (size_t at = 0; at < count; at++) {
        const akshi_value *value = &values[at];
        if (at) akshi_put(&out, AKSHI(","));
        if (value->kind == AKSHI_NULL) akshi_put(&out, AKSHI("null"));
        if (value->kind == AKSHI_INTEGER) akshi_put_number(&out, value->integer);
        if (value->kind == AKSHI_REAL) akshi_put(&out, value->text); /* as you wrote it */
        if (value->kind == AKSHI_STRING) akshi_put_json(&out, value->text);
        if (value->kind == AKSHI_BYTES) {
            akshi_put(&out, AKSHI("{\"base64\":"));
            akshi_put_json(&out, akshi_to_base64(value->text));
            akshi_put(&out, AKSHI("}"));
        }
    }
    akshi_put(&out, AKSHI("]"));
    return akshi_written(&out);
}

static akshi_value value_of(akshi_text json) {
    akshi_value value = {AKSHI_NULL, 0, 0, json};
    char first = json.length ? json.at[0] : 'n';
    if (first == 'n') return value;
    if (first == '"') {
        value.kind = AKSHI_STRING;
        value.text = akshi_json_text(json);
    } else if (first == '{') {
        value.kind = AKSHI_BYTES;
        value.text = akshi_from_base64(field(json, "base64"));
    } else {
        value.kind = AKSHI_INTEGER;
        for (size_t at = 0; at < json.length; at++)
            if (json.at[at] == '.' || json.at[at] == 'e' || json.at[at] == 'E')
                value.kind = AKSHI_REAL;
        value.real = akshi_json_real(json);
        value.integer = akshi_json_integer(json, 0);
    }
    return value;
}

static bool read_rows(akshi_text answer, akshi_rows *rows) {
    akshi_text list = akshi_json_get(answer, "rows"), row, item;
    size_t at = 0;
    rows->rows = items(list);
    rows->columns = items(akshi_json_get(answer, "columns"));
    rows->changes = whole(answer, "changes", 0);
    rows->last_row_id = whole(answer, "last_row_id", 0);
    rows->at = many(rows->rows * rows->columns, sizeof(akshi_value));
    while (akshi_json_each(&list, &row)) {
        size_t end = at + rows->columns;
        while (akshi_json_each(&row, &item)) {
            if (at == end) return odd_answer();
            rows->at[at++] = value_of(item);
        }
        if (at != end) return odd_answer();
    }
    return true;
}

bool akshi_database_query(akshi_text sql, const akshi_value *parameters, size_t count,
                          akshi_rows *rows) {
    akshi_text answer, list = list_of(parameters, count);
    return akshi_call_database_query(sql, list, AKSHI_NONE, 0, &answer) &&
           read_rows(answer, rows);
}

bool akshi_database_execute(akshi_text sql, const akshi_value *parameters, size_t count,
                            akshi_rows *rows) {
    akshi_text answer, list = list_of(parameters, count);
    return akshi_call_database_execute(sql, list, AKSHI_NONE, 0, &answer) &&
           read_rows(answer, rows);
}
