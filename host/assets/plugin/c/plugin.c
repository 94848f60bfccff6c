// {{summary}}
//
// The host asks once a request, never once a token: a plugin decides, the host acts. Nothing here may look at a clock or draw from
// anything but the call, so that the same seed gives the same run in real and in virtual time. `vendor/simwright.h` says what there is.

#include "simwright.h"

// What a scenario may set. Each has a default, bounds where they are wanted, and a sentence that editors show.
static struct {
%% if fault
  double refuse;
  sw_us wait;
%% end
%% if responder
  const char *greeting;
  uint32_t tokens;
%% end
%% if latency
  sw_us first;
  sw_us between;
  double slow;
%% end
} given;

static const sw_option OPTIONS[] = {
%% if fault
    {"refuse", SW_SHARE, &given.refuse, "5%", "The share of first attempts that are refused.", NULL, NULL},
    {"wait", SW_DURATION, &given.wait, "1s", "How long refused clients are asked to wait.", "1ms", "1h"},
%% end
%% if responder
    {"greeting", SW_TEXT, &given.greeting, "Hello!", "What every answer begins with.", NULL, NULL},
    {"tokens", SW_WHOLE, &given.tokens, "60", "The most tokens that follow.", "1", "4000"},
%% end
%% if latency
    {"first", SW_DURATION, &given.first, "300ms", "Time to the first token.", "0s", "1m"},
    {"between", SW_DURATION, &given.between, "20ms", "Time from each token to the next.", "0s", "10s"},
    {"slow", SW_SHARE, &given.slow, "10%", "The share of the requests that wait five times as long for their first token.", NULL, NULL},
%% end
};

// As in `plugin.toml`; `simwright plugin build` compares.
SW_PLUGIN("{{name}}", "0.1.0", "{{summary}}", OPTIONS)
%% if fault

static sw_verdict decide(const sw_call *call) {
  // Who comes again is answered. A draw by name depends on the call and on its name: adding another one shifts nothing.
  if (!sw_is_retry(call) && sw_chance(sw_named(sw_call_key(call), "refuse"), given.refuse)) return sw_rate_limited(given.wait);
  return sw_pass();
}

SW_FAULT(decide)
%% end
%% if responder

static sw_answer answer(const sw_call *call) {
  sw_rng rng = sw_rng_of(sw_named(sw_call_key(call), "length"));
  // Text of our own, and as many tokens as are drawn, written by the host.
  sw_item items[] = {sw_text(given.greeting), sw_generate(1 + sw_below(&rng, given.tokens), "")};
  return sw_answer_of(items, 2, SW_STOP);
}

SW_RESPONDER(answer)
%% end
%% if latency

static sw_schedule plan(const sw_call *call, uint32_t output_tokens) {
  (void)output_tokens;
  // A draw by name depends on the call and on its name: adding another one shifts nothing.
  bool slow = sw_chance(sw_named(sw_call_key(call), "slow"), given.slow);
  return sw_schedule_of(sw_fixed(slow ? 5 * given.first : given.first), sw_fixed(given.between));
}

SW_LATENCY(plan)
%% end
