/* The C SDK against answers as docs/spec/agent-abi.md has them. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "akshi_testing.h"

static const char *answer_now;
static char asked[3][256];
static char called[64];
static uint32_t number_now;

bool akshi_played(const char *function, const akshi_text texts[3], uint32_t number,
                  akshi_text *answer) {
    for (int n = 0; n < 3; n++)
        snprintf(asked[n], sizeof asked[n], "%.*s", (int)texts[n].length, texts[n].at);
    snprintf(called, sizeof called, "%s", function);
    number_now = number;
    if (!answer_now) return akshi_refuses(AKSHI_BUDGET_EXCEEDED, "daily cap");
    return akshi_says(answer, answer_now);
}

bool akshi_run(const akshi_task *task, akshi_text *answer) {
    if (akshi_same(task->text, AKSHI("spend"))) {
        akshi_balance balance;
        return akshi_spend_balance(&balance);
    }
    *answer = task->text;
    return true;
}

#define IS(text, words) assert(akshi_same(text, AKSHI(words)))
#define SENT(function, a, b, c) \
    assert(!strcmp(called, function) && !strcmp(asked[0], a) && !strcmp(asked[1], b) && !strcmp(asked[2], c))

static void test_json(void) {
    akshi_text json = AKSHI(" { \"a\\u0041\" : [ 1 , {\"b\":\"}\\\"]\"} , [] ] , \"c\" : -12 } "), item;
    json.at++, json.length--;
    akshi_text list = akshi_json_get(json, "aA"), rest = list;
    assert(akshi_json_each(&rest, &item));
    assert(akshi_json_integer(item, 0) == 1);
    assert(akshi_json_each(&rest, &item));
    IS(akshi_json_text(akshi_json_get(item, "b")), "}\"]");
    assert(akshi_json_each(&rest, &item));
    IS(item, "[]");
    assert(!akshi_json_each(&rest, &item));
    assert(akshi_json_integer(akshi_json_get(json, "c"), 0) == -12);
    assert(akshi_json_integer(AKSHI("1.5"), 7) == 7);
    assert(akshi_json_integer(AKSHI("-9223372036854775808"), 0) == INT64_MIN);
    assert(!akshi_json_get(json, "d").length);
    IS(akshi_json_text(AKSHI("\"\\u00fc\\ud83d\\ude00\\n\\/\\u20ac\"")), "\u00fc\U0001F600\n/\u20ac");
    assert(akshi_json_real(AKSHI("-12.5e-1")) == -1.25);
    const char *lengths[] = {"", "f", "fo", "foo", "\xff\xfe\xfd\xfc"};
    const char *encoded[] = {"", "Zg==", "Zm8=", "Zm9v", "//79/A=="};
    for (int n = 0; n < 5; n++) {
        assert(akshi_same(akshi_to_base64(akshi_zero(lengths[n])), akshi_zero(encoded[n])));
        assert(akshi_same(akshi_from_base64(akshi_zero(encoded[n])), akshi_zero(lengths[n])));
    }
}

static void test_kept(void) {
    akshi_question question = {.prompt = AKSHI("hi \"you\"\x01"), .max_tokens = 3};
    akshi_reply reply;
    answer_now = "{\"text\":\"ho\",\"model\":\"m\",\"finish\":\"stop\",\"usage\":{\"tokens_in\":3,"
                 "\"tokens_out\":null},\"cost\":null}";
    assert(akshi_inference_prompt(&question, &reply));
    SENT("inference.prompt", "{\"prompt\":\"hi \\u0022you\\u0022\\u0001\",\"max_tokens\":3}", "", "");
    IS(reply.text, "ho");
    assert(reply.tokens_in == 3 && reply.tokens_out == -1 && !reply.cost.length);

    akshi_entries entries;
    answer_now = "{\"entries\":[{\"id\":\"1\",\"at_ms\":5,\"author\":\"a\",\"originator\":\"o\",\"tag\":\"t\","
                 "\"text\":\"x\",\"score\":1.5},{\"id\":\"2\",\"tag\":\"t\",\"text\":\"y\",\"originator\":\"o\"}],\"next\":\"c\"}";
    assert(akshi_journal_find(AKSHI("q"), AKSHI("vector"), 4, &entries));
    SENT("journal.find", "{\"query\":\"q\",\"mode\":\"vector\",\"limit\":4}", "", "");
    assert(entries.count == 2 && entries.at[0].score == 1.5 && entries.at[1].at_ms == -1);
    IS(entries.next, "c");
    assert(akshi_journal_read(AKSHI("c"), 2, &entries) && number_now == 2);
    assert(akshi_journal_search(AKSHI("q"), 2, &entries));

    akshi_value values[] = {{.kind = AKSHI_NULL},
                            {.kind = AKSHI_INTEGER, .integer = -5},
                            {.kind = AKSHI_REAL, .text = AKSHI("0.5")},
                            {.kind = AKSHI_STRING, .text = AKSHI("a")},
                            {.kind = AKSHI_BYTES, .text = AKSHI("\xff")}};
    akshi_rows rows;
    answer_now = "{\"columns\":[\"a\",\"b\"],\"rows\":[[1,\"x\"],[null,{\"base64\":\"/w==\"}],[2.5,\"\"]]}";
    assert(akshi_database_query(AKSHI("select"), values, 5, &rows));
    SENT("database.query", "select", "[null,-5,0.5,\"a\",{\"base64\":\"/w==\"}]", "");
    assert(rows.rows == 3 && rows.columns == 2 && rows.at[0].integer == 1);
    assert(rows.at[2].kind == AKSHI_NULL && rows.at[4].real == 2.5);
    IS(rows.at[3].text, "\xff");
    answer_now = "{\"changes\":2,\"last_row_id\":7}";
    assert(akshi_database_execute(AKSHI("delete"), NULL, 0, &rows));
    assert(rows.changes == 2 && rows.last_row_id == 7 && !rows.rows);
    answer_now = "{\"columns\":[\"a\"],\"rows\":[[1,2]]}"; /* more than there are columns */
    assert(!akshi_database_query(AKSHI("select"), NULL, 0, &rows));
}

static void test_outside(void) {
    akshi_header header = {AKSHI("Accept"), AKSHI("text/plain")};
    akshi_request request = {.url = AKSHI("https://a.org/"), .method = AKSHI("POST"),
                             .headers = &header, .header_count = 1, .body = AKSHI("\xff")};
    akshi_response response;
    answer_now = "{\"status\":402,\"headers\":{\"x-a\":\"1\",\"x-b\":\"2\"},\"body_base64\":\"/w==\","
                 "\"url\":\"https://a.org/\",\"payment_required\":{\"challenge\":\"5c\"}}";
    assert(akshi_http_fetch(&request, &response));
    SENT("http-fetch.fetch", "{\"url\":\"https://a.org/\",\"method\":\"POST\",\"headers\":{\"Accept\":"
         "\"text/plain\"},\"body_base64\":\"/w==\"}", "", "");
    assert(response.status == 402 && response.header_count == 2);
    IS(response.headers[1].value, "2");
    IS(response.body, "\xff");
    IS(response.payment_required, "{\"challenge\":\"5c\"}");

    akshi_text ids[] = {AKSHI("e3"), AKSHI("e4")}, id, text;
    akshi_ended ended;
    answer_now = "{\"id\":\"e3\",\"status\":{\"state\":\"TASK_STATE_COMPLETED\"},"
                 "\"artifacts\":[{\"parts\":[{\"text\":\"one\"},{\"data\":1},{\"text\":\"two\"}]}]}";
    assert(akshi_a2a_wait(ids, 2, 50, &ended) && ended.found && ended.completed);
    SENT("a2a.wait", "[\"e3\",\"e4\"]", "", "");
    IS(ended.text, "one\ntwo");
    answer_now = "null";
    assert(akshi_a2a_wait(ids, 1, 0, &ended) && !ended.found);
    answer_now = "e3";
    assert(akshi_a2a_send(AKSHI("self/b"), AKSHI("hi"), &id));
    SENT("a2a.send", "self/b", "[{\"text\":\"hi\"}]", "");
    IS(id, "e3");

    akshi_tool_answer tool;
    answer_now = "{\"content\":[{\"type\":\"text\",\"text\":\"x\"}],\"isError\":true}";
    assert(akshi_mcp_call_tool(AKSHI("s"), AKSHI("t"), AKSHI("{}"), &tool) && tool.is_error);
    IS(tool.text, "x");
    answer_now = "{\"tools\":[{\"name\":\"a\"}],\"refused\":[]}";
    assert(akshi_mcp_list_tools(AKSHI("s"), &id, &text));
    IS(id, "[{\"name\":\"a\"}]");

    akshi_files files;
    answer_now = "{\"files\":[{\"name\":\"b\",\"kind\":\"directory\",\"bytes\":0}],\"next\":null}";
    assert(akshi_filesystem_list_files(AKSHI("/s"), AKSHI("a"), 2, &files));
    assert(files.count == 1 && files.at[0].is_directory && !files.next.length);
    answer_now = "{\"text\":\"\\u00fc\"}";
    assert(akshi_filesystem_read_file(AKSHI("/s/b"), &text));
    IS(text, "\u00fc");

    akshi_charge charge = {500000, AKSHI("EUR"), AKSHI("ledger"), AKSHI("shop"), AKSHI_NONE, AKSHI("5c")};
    akshi_payment payment;
    bool allowed;
    answer_now = "{\"payment\":\"9f\",\"state\":\"paid\",\"has_proof\":true}";
    assert(akshi_spend_charge(&charge, &payment) && payment.has_proof);
    SENT("spend.charge", "{\"amount_micros\":500000,\"currency\":\"EUR\",\"rail\":\"ledger\","
         "\"payee\":\"shop\",\"challenge\":\"5c\"}", "", "");
    answer_now = "{\"allowed\":true,\"why\":\"\"}";
    assert(akshi_spend_quote(&charge, &allowed, &text) && allowed);
}

static void test_task(void) {
    uint8_t bytes[2];
    int64_t now;
    bool cancelled;
    akshi_text said;
    answer_now = "00ff";
    assert(akshi_task_random(2, bytes) && bytes[0] == 0 && bytes[1] == 255 && number_now == 2);
    answer_now = "1795324444689";
    assert(akshi_task_now(&now) && now == 1795324444689);
    answer_now = "true";
    assert(akshi_task_is_cancelled(&cancelled) && cancelled);
    answer_now = "";
    assert(akshi_task_progress(AKSHI("half")) && akshi_task_log(AKSHI("info"), AKSHI("x")));
    assert(akshi_a2a_cancel(AKSHI("e3")));
    answer_now = NULL; /* what nobody handles fails the task with code and reason */
    assert(!akshi_ask("spend", &said));
    IS(said, "budget-exceeded: daily cap");
    assert(akshi_ask("\u00fc \"x\"", &said));
    IS(said, "\u00fc \"x\"");
}

int main(void) {
    test_json();
    test_kept();
    test_outside();
    test_task();
    puts("4 passed, 0 failed");
    return 0;
}
