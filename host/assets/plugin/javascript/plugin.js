// {{summary}}
//
// The host asks once a request, never once a token: a plugin decides, the host acts. Nothing here may look at a clock or draw from
// anything but the call, so that the same seed gives the same run in real and in virtual time. `vendor/simwright.js` says what there is.

import * as simwright from "./vendor/simwright.js";
import { {{js_import}} } from "./vendor/simwright.js";

// What a scenario may set. Each has a default, bounds where they are wanted, and a sentence that editors show.
const options = simwright.declare({
%% if fault
  refuse: simwright.share("5%", "The share of first attempts that are refused."),
  wait: simwright.duration("1s", "How long refused clients are asked to wait.", "1ms", "1h"),
%% end
%% if responder
  greeting: simwright.text("Hello!", "What every answer begins with."),
  tokens: simwright.whole(60, "The most tokens that follow.", 1, 4_000),
%% end
%% if latency
  first: simwright.duration("300ms", "Time to the first token.", "0s", "1m"),
  between: simwright.duration("20ms", "Time from each token to the next.", "0s", "10s"),
  slow: simwright.share("10%", "The share of the requests that wait five times as long for their first token."),
%% end
});

export const lifecycle = simwright.lifecycle({
  // As in `plugin.toml`; `simwright plugin build` compares.
  name: "{{name}}",
  version: "0.1.0",
  summary: "{{summary}}",
  options,
});
%% if fault

export const fault = {
  decide(call) {
    // Who comes again is answered. A draw by name depends on the call and on its name: adding another one shifts nothing.
    if (!isRetry(call) && key(call).named("refuse").chance(options.refuse)) return Verdict.rateLimited(options.wait);
    return Verdict.PASS;
  },
};
%% end
%% if responder

export const responder = {
  respond(call) {
    const more = 1 + key(call).named("length").rng().below(options.tokens);
    // Text of our own, and as many tokens as were drawn, written by the host.
    return [Answer.of([Item.text(options.greeting), Item.generate(more)])];
  },
};
%% end
%% if latency

export const latency = {
  plan(call) {
    // A draw by name depends on the call and on its name: adding another one shifts nothing.
    const slow = key(call).named("slow").chance(options.slow);
    return Schedule.of(slow ? options.first * 5 : options.first, options.between);
  },
};
%% end
