// Does all that the contract allows, as it is told: the same in four languages, which are compared.
//
// The newest user message says what: a word and a number. `README.md` beside the four lists them.

#include <inttypes.h>
#include <time.h>

#include "simwright.h"

static struct {
  double rate;
  sw_us wait;
  double factor;
  uint32_t limit;
  const char *note;
  bool loud;
} given;

static const sw_option OPTIONS[] = {
    {"rate", SW_SHARE, &given.rate, "25%", "Which part of the first attempts is refused.", NULL, NULL},
    {"wait", SW_DURATION, &given.wait, "1500ms", "For how long.", "1ms", "1h"},
    {"factor", SW_NUMBER, &given.factor, "1.5", "How many times as long everything takes.", "0.5", "10.0"},
    {"limit", SW_WHOLE, &given.limit, "40", "The most tokens of an answer.", "1", "1000"},
    {"note", SW_TEXT, &given.note, "so", "What is said before anything else.", NULL, NULL},
    {"loud", SW_FLAG, &given.loud, "false", "Is it said?", NULL, NULL},
};

SW_PLUGIN("conformance", "0.1.0", "Does all that the contract allows, as it is told.", OPTIONS)

// The word of the newest user message; its number goes to `number`.
static char *told(uint32_t *number) {
  char *text = sw_last_user_text();
  char *space = strchr(text, ' ');
  *number = space != NULL && space[1] >= '0' && space[1] <= '9' ? (uint32_t)strtoul(space + 1, NULL, 10) : 0;
  if (space != NULL) *space = 0;
  return text;
}

static bool is(const char *word, const char *other) { return strcmp(word, other) == 0; }
static const char *or_none(const char *text) { return text == NULL ? "none" : text; }
static const char *truth(bool value) { return value ? "true" : "false"; }
static sw_verdict tell(const char *message) { return sw_http(418, message, NULL); }

static const char *shown(void) {
  return sw_format("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32 " %s %s", (uint64_t)(given.rate * 10000), given.wait,
                   (uint64_t)(given.factor * 1000), given.limit, given.note, truth(given.loud));
}

static const char *scalars(const sw_call *call) {
  return sw_format("%" PRIu64 " %" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32
                   " %" PRIu32 " %" PRIu32 " %d%d%d%d%d",
                   call->identity, call->attempt, call->occurrence, call->seed, call->model, call->tenant, call->stage, call->operation,
                   call->input_tokens, call->max_output_tokens, call->running, call->waiting, sw_is_streaming(call), sw_has_tools(call),
                   sw_wants_json(call), sw_is_retry(call), (int)(call->now_ns % 2));
}

static const char *draws(const sw_call *call) {
  sw_rng rng = sw_rng_of(sw_call_key(call));
  uint64_t bits = sw_next(&rng);
  double unit = sw_next_unit(&rng);
  uint32_t below = sw_below(&rng, 1000);
  double between = sw_between(&rng, 2, 10);
  bool chance = sw_next_unit(&rng) < 0.5;
  sw_key key = sw_with(sw_named(sw_call_key(call), "gr\xc3\xb6\xc3\x9f" "e"), 7);
  sw_rng far = sw_rng_of(sw_with(sw_key_of_seed(UINT64_MAX), UINT64_MAX));
  return sw_format("%" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu64 " %s %" PRIu64 " %" PRIu64 " %" PRIu64, bits,
                   (uint64_t)(unit * 9007199254740992.0), below, (uint64_t)(between * 1000000), truth(chance), key.bits,
                   (uint64_t)(sw_unit(key) * 9007199254740992.0), sw_next(&far));
}

static const char *remember(const sw_call *call) {
  const char *key = sw_format("key/%" PRIu64, call->identity);
  int64_t count = sw_state_add(key, 3, sw_s(10));
  const char *before = sw_state_get(key, NULL);
  const char *next = sw_format("%s+", before == NULL ? "" : before);
  sw_state_set(key, next, strlen(next), sw_s(5));
  int64_t all = sw_state_add("all", 10, 0);
  all += sw_state_add("all", -3, 0);
  int64_t down = sw_state_add("down", -(INT64_C(1) << 40), 0);
  return sw_format("%" PRId64 " %s %" PRId64 " %" PRId64, count, or_none(before), all, down);
}

static const char *request(void) {
  size_t length;
  const char *body = sw_body(&length);
  uint32_t sum = 0;
  for (size_t index = 0; index < length; index++) sum += (uint8_t)body[index];
  const char *tools = sw_attribute("tools"), *system = sw_attribute("system");
  sw_buffer names = {0};
  sw_put(&names, "");
  // Names are separated by commas, here by pluses; spaces around them do not count.
  for (; tools != NULL && *tools; tools++) {
    if (*tools == ',') sw_put(&names, "+");
    else if (*tools != ' ') sw_put_n(&names, tools, 1);
  }
  sw_keep(names.text);
  return sw_format("%zu %" PRIu32 " %s %s %s %s [%s] %s %s", length, sum, or_none(sw_header("x-color")),
                   or_none(sw_header("authorization")), or_none(sw_attribute("model")), or_none(sw_attribute("no-such")), names.text,
                   system == NULL || *system == 0 ? "none" : system, or_none(sw_attribute("tool-result")));
}

static sw_verdict verdict(uint32_t number) {
  static const uint8_t DAMAGES[] = {
      SW_DAMAGE(MALFORMED_CHUNK),    SW_DAMAGE(TRUNCATED_JSON),   SW_DAMAGE(SPLIT_UTF8),         SW_DAMAGE(MISSING_END),
      SW_DAMAGE(DUPLICATE_CHUNK),    SW_DAMAGE(SWAP_CHUNKS),      SW_DAMAGE(WRONG_CONTENT_TYPE), SW_DAMAGE(EMPTY_BODY),
      SW_DAMAGE(BAD_TOOL_ARGUMENTS), SW_DAMAGE(SCHEMA_VIOLATION), SW_DAMAGE(WRONG_USAGE)};
  if (number >= 9 && number <= 19) return sw_damage(DAMAGES[number - 9], sw_at_token(1));
  switch (number) {
    case 1: return sw_http(503, NULL, NULL);
    case 2: return sw_retry_after(sw_http(429, "come \"again\"", "later"), given.wait);
    case 3: return sw_hang(given.wait);
    case 4: return sw_cut(SW_CUT_RESET, sw_at_start());
    case 5: return sw_cut(SW_CUT_CLOSE, sw_at_token(3));
    case 6: return sw_cut(SW_CUT_END, sw_at_share(0.5f));
    case 7: return sw_stall(given.wait, sw_after(sw_ms(20)));
    case 8: return sw_error_event("broken", sw_at_token(2));
    case 20: return sw_length(sw_at_share(0.3f));
    case 21: return sw_content_filter(sw_at_token(4));
    case 22: return sw_refuse("no \"more\"", sw_after(sw_ms(30)));
    case 23: return sw_drip(4096);
    case 24: return sw_overloaded(given.wait);
    default: return sw_pass();
  }
}

static sw_verdict decide(const sw_call *call) {
  uint32_t number;
  const char *word = told(&number);
  if (is(word, "scalars")) return tell(scalars(call));
  if (is(word, "now")) return tell(sw_format("%" PRIu64, call->now_ns));
  if (is(word, "options")) return tell(shown());
  if (is(word, "draws")) return tell(draws(call));
  if (is(word, "state")) return tell(remember(call));
  if (is(word, "request")) return tell(request());
  if (is(word, "log")) {
    sw_log(SW_INFO, sw_format("as told: \xc3\xa9 %" PRIu32, call->attempt));
    sw_count("asked", 2);
    return sw_pass();
  }
  if (is(word, "print")) {
    printf("printed\n");
    fflush(stdout);
    fprintf(stderr, "and complained\n");
    return sw_pass();
  }
  if (is(word, "clock")) return tell(sw_format("%lld", (long long)time(NULL)));
  if (is(word, "panic")) abort();
  if (is(word, "verdict")) return verdict(number);
  bool refused = !sw_is_retry(call) && sw_chance(sw_named(sw_call_key(call), "rate"), given.rate);
  return refused ? sw_rate_limited(given.wait) : sw_pass();
}

SW_FAULT(decide)

static sw_answer answer(const sw_call *call) {
  uint32_t number;
  const char *word = told(&number);
  switch (is(word, "answer") ? number : 0) {
    case 1: return sw_only(sw_generate(given.limit, ""));
    case 2: {
      sw_item items[] = {sw_think(5, ""), sw_text("Eins, zwei: "), sw_generate(7, "code")};
      return sw_answer_of(items, 3, SW_STOP);
    }
    case 3: return sw_only(sw_tool_call("look_up", NULL));
    case 4: return sw_only(sw_tool_call("look_up", "{\"id\":\"\xc3\xa4\"}"));
    case 5: return sw_only(sw_structured());
    case 6: return sw_only(sw_refusal("I'd rather not."));
    case 7: {
      sw_item items[] = {sw_reasoning("Hm."), sw_text("Yes.")};
      return sw_answer_of(items, 2, SW_STOP);
    }
    case 8: {
      sw_item item = sw_text("cut");
      return sw_answer_of(&item, 1, SW_FINISH_LENGTH);
    }
    case 9: {
      sw_item item = sw_text("");
      return sw_answer_of(&item, 1, SW_CONTENT_FILTER);
    }
    default: break;
  }
  sw_rng rng = sw_rng_of(sw_named(sw_call_key(call), "length"));
  uint32_t more = 1 + sw_below(&rng, given.limit);
  sw_item items[] = {sw_text(given.loud ? sw_format("%s: %s", given.note, word) : word), sw_generate(more, "")};
  return sw_answer_of(items, 2, SW_STOP);
}

SW_RESPONDER(answer)

static sw_schedule plan(const sw_call *call, uint32_t output_tokens) {
  static const sw_us EACH[] = {100, 200, 1000};
  uint32_t number;
  const char *word = told(&number);
  switch (is(word, "delay") ? number : 0) {
    case 1: return sw_schedule_of(sw_uniform(sw_ms(1), sw_ms(3)), sw_fixed(250));
    case 2: return sw_schedule_of(sw_log_normal(sw_ms(10), sw_ms(40), sw_ms(60)), sw_fixed(0));
    case 3: return sw_schedule_of(sw_fixed(sw_ms(2)), sw_each(EACH, 3));
    case 4: return sw_schedule_of(sw_law("gamma", "{\"mean\":\"2ms\",\"shape\":3}"), sw_fixed(sw_ms(1)));
    case 5: return sw_pause(sw_pause(sw_schedule_of(sw_fixed(sw_ms(1)), sw_fixed(sw_ms(1))), 2, sw_ms(5)), 4, 500);
    case 6: return sw_schedule_of(sw_fixed(0), sw_fixed(0));
    default: break;
  }
  sw_us first = (sw_us)((10000 + 100 * (double)call->input_tokens) * given.factor);
  bool slow = sw_chance(sw_named(sw_call_key(call), "slow"), 0.5);
  sw_schedule schedule = sw_schedule_of(sw_fixed(first + 1000 * (sw_us)call->running), sw_fixed(sw_ms(slow ? 2 : 1)));
  return output_tokens > 4 ? sw_pause(schedule, output_tokens / 2, sw_ms(5)) : schedule;
}

SW_LATENCY(plan)
