/* What an agent reaches: the web, agents, tools, files, money; and its own task. */
#include "akshi_fields.h"

bool akshi_http_fetch(const akshi_request *request, akshi_response *response) {
    akshi_out out = {0}, headers = {0};
    akshi_text answer, list, name, value;
    size_t at = 0;
    text_field(&out, "url", request->url);
    text_field(&out, "method", request->method);
    for (size_t n = 0; n < request->header_count; n++) {
        akshi_put(&headers, n ? AKSHI(",") : AKSHI("{"));
        akshi_put_json(&headers, request->headers[n].name);
        akshi_put(&headers, AKSHI(":"));
        akshi_put_json(&headers, request->headers[n].value);
    }
    if (request->header_count) {
        key(&out, "headers");
        akshi_put(&out, object(&headers));
    }
    if (request->body.at) text_field(&out, "body_base64", akshi_to_base64(request->body));
    if (request->timeout_ms) number_field(&out, "timeout_ms", request->timeout_ms);
    text_field(&out, "payment", request->payment);
    if (!akshi_call_http_fetch(object(&out), AKSHI_NONE, AKSHI_NONE, 0, &answer)) return false;
    list = akshi_json_get(answer, "headers");
    akshi_text encoded = akshi_json_get(answer, "body_base64"), count = list;
    *response = (akshi_response){
        .status = whole(answer, "status", 0),
        .url = field(answer, "url"),
        .body = encoded.length ? akshi_from_base64(akshi_json_text(encoded))
                               : field(answer, "body"),
        .payment_required = akshi_json_get(answer, "payment_required"),
    };
    while (akshi_json_member(&count, &name, &value)) response->header_count++;
    response->headers = many(response->header_count, sizeof(akshi_header));
    while (akshi_json_member(&list, &name, &value))
        response->headers[at++] =
            (akshi_header){akshi_json_text(name), akshi_json_text(value)};
    return true;
}

bool akshi_a2a_send(akshi_text target, akshi_text message, akshi_text *id) {
    return akshi_call_a2a_send(target, one_part(message), AKSHI_NONE, 0, id);
}

bool akshi_a2a_wait(const akshi_text *ids, size_t count, uint32_t timeout_ms, akshi_ended *ended) {
    akshi_out out = {0};
    akshi_text answer, artifact = AKSHI_NONE, artifacts;
    akshi_put(&out, AKSHI("["));
    for (size_t at = 0; at < count; at++) {
        if (at) akshi_put(&out, AKSHI(","));
        akshi_put_json(&out, ids[at]);
    }
    akshi_put(&out, AKSHI("]"));
    if (!akshi_call_a2a_wait(akshi_written(&out), AKSHI_NONE, AKSHI_NONE, timeout_ms, &answer))
        return false;
    akshi_text status = akshi_json_get(answer, "status");
    artifacts = akshi_json_get(answer, "artifacts");
    akshi_json_each(&artifacts, &artifact);
    *ended = (akshi_ended){
        .found = akshi_json_get(answer, "id").length > 0,
        .id = field(answer, "id"),
        .state = field(status, "state"),
        .parts = akshi_json_get(artifact, "parts"),
        .why = joined(akshi_json_get(akshi_json_get(status, "message"), "parts")),
    };
    ended->completed = akshi_same(ended->state, AKSHI("TASK_STATE_COMPLETED"));
    ended->text = joined(ended->parts);
    return true;
}

bool akshi_a2a_cancel(akshi_text id) {
    akshi_text answer;
    return akshi_call_a2a_cancel(id, AKSHI_NONE, AKSHI_NONE, 0, &answer);
}

bool akshi_mcp_list_tools(akshi_text server, akshi_text *tools, akshi_text *refused) {
    akshi_text answer;
    if (!akshi_call_mcp_list_tools(server, AKSHI_NONE, AKSHI_NONE, 0, &answer)) return false;
    *tools = akshi_json_get(answer, "tools");
    *refused = akshi_json_get(answer, "refused");
    return true;
}

bool akshi_mcp_call_tool(akshi_text server, akshi_text tool, akshi_text arguments,
                         akshi_tool_answer *said) {
    akshi_text answer;
    if (!akshi_call_mcp_call_tool(server, tool, arguments, 0, &answer)) return false;
    *said = (akshi_tool_answer){
        .is_error = truth(answer, "isError"),
        .content = akshi_json_get(answer, "content"),
        .structured = akshi_json_get(answer, "structuredContent"),
    };
    said->text = joined(said->content);
    return true;
}

bool akshi_filesystem_list_files(akshi_text path, akshi_text after, uint32_t limit,
                                 akshi_files *files) {
    akshi_text answer, list, item;
    size_t at = 0;
    if (!akshi_call_filesystem_list_files(path, after, AKSHI_NONE, limit, &answer)) return false;
    list = akshi_json_get(answer, "files");
    files->count = items(list);
    files->at = many(files->count, sizeof(akshi_file));
    files->next = field(answer, "next");
    while (akshi_json_each(&list, &item))
        files->at[at++] = (akshi_file){
            .name = field(item, "name"),
            .is_directory = akshi_same(field(item, "kind"), AKSHI("directory")),
            .bytes = whole(item, "bytes", 0),
        };
    return true;
}

bool akshi_filesystem_read_file(akshi_text path, akshi_text *content) {
    akshi_text answer, encoded;
    if (!akshi_call_filesystem_read_file(path, AKSHI_NONE, AKSHI_NONE, 0, &answer)) return false;
    encoded = akshi_json_get(answer, "base64");
    *content =
        encoded.length ? akshi_from_base64(akshi_json_text(encoded)) : field(answer, "text");
    return true;
}

static akshi_text written_charge(const akshi_charge *charge) {
    akshi_out out = {0};
    number_field(&out, "amount_micros", charge->amount_micros);
    text_field(&out, "currency", charge->currency);
    text_field(&out, "rail", charge->rail);
    text_field(&out, "payee", charge->payee);
    text_field(&out, "memo", charge->memo);
    text_field(&out, "challenge", charge->challenge);
    return object(&out);
}

bool akshi_spend_balance(akshi_balance *balance) {
    akshi_text answer;
    if (!akshi_call_spend_balance(AKSHI_NONE, AKSHI_NONE, AKSHI_NONE, 0, &answer)) return false;
    *balance = (akshi_balance){
        .currency = field(answer, "currency"),
        .daily_micros = whole(answer, "daily_micros", 0),
        .spent_micros = whole(answer, "spent_micros", 0),
        .left_micros = whole(answer, "left_micros", 0),
        .per_action_micros = whole(answer, "per_action_micros", -1),
        .simulation = truth(answer, "simulation"),
        .halted = truth(answer, "halted"),
    };
    return true;
}

bool akshi_spend_quote(const akshi_charge *charge, bool *allowed, akshi_text *why) {
    akshi_text answer, asked = written_charge(charge);
    if (!akshi_call_spend_quote(asked, AKSHI_NONE, AKSHI_NONE, 0, &answer)) return false;
    *allowed = truth(answer, "allowed");
    *why = field(answer, "why");
    return true;
}

bool akshi_spend_charge(const akshi_charge *charge, akshi_payment *payment) {
    akshi_text answer, asked = written_charge(charge);
    if (!akshi_call_spend_charge(asked, AKSHI_NONE, AKSHI_NONE, 0, &answer)) return false;
    *payment = (akshi_payment){
        field(answer, "payment"), field(answer, "state"), truth(answer, "has_proof")};
    return true;
}

bool akshi_task_progress(akshi_text text) {
    akshi_text answer;
    return akshi_call_task_progress(text, AKSHI_NONE, AKSHI_NONE, 0, &answer);
}

bool akshi_task_is_cancelled(bool *cancelled) {
    akshi_text answer;
    if (!akshi_call_task_is_cancelled(AKSHI_NONE, AKSHI_NONE, AKSHI_NONE, 0, &answer))
        return false;
    *cancelled = akshi_same(answer, AKSHI("true"));
    return true;
}

bool akshi_task_log(akshi_text level, akshi_text text) {
    akshi_text answer;
    return akshi_call_task_log(level, text, AKSHI_NONE, 0, &answer);
}

bool akshi_task_now(int64_t *ms) {
    akshi_text answer;
    if (!akshi_call_task_now(AKSHI_NONE, AKSHI_NONE, AKSHI_NONE, 0, &answer)) return false;
    *ms = akshi_json_integer(answer, 0);
    return true;
}

static uint8_t digit(char hex) { return (uint8_t)(hex <= '9' ? hex - '0' : hex - 'a' + 10); }

bool akshi_task_random(uint32_t count, uint8_t *bytes) {
    akshi_text answer;
    if (!akshi_call_task_random(AKSHI_NONE, AKSHI_NONE, AKSHI_NONE, count, &answer)) return false;
    if (answer.length != 2 * (size_t)count) return odd_answer();
    for (uint32_t at = 0; at < count; at++)
        bytes[at] = (uint8_t)(digit(answer.at[2 * at]) << 4 | digit(answer.at[2 * at + 1]));
    return true;
}
