"""{{summary}}

The host asks once a request, never once a token: a plugin decides, the host acts. Nothing here may look at a clock or draw from
anything but the call, so that the same seed gives the same run in real and in virtual time. `vendor/simwright.py` says what there is.
"""

import simwright
{{python_import}}

# What a scenario may set. Each has a default, bounds where they are wanted, and a sentence that editors show.
OPTIONS = simwright.Options(
%% if fault
    refuse=simwright.share("5%", "The share of first attempts that are refused."),
    wait=simwright.duration("1s", "How long refused clients are asked to wait.", "1ms", "1h"),
%% end
%% if responder
    greeting=simwright.text("Hello!", "What every answer begins with."),
    tokens=simwright.whole(60, "The most tokens that follow.", 1, 4_000),
%% end
%% if latency
    first=simwright.duration("300ms", "Time to the first token.", "0s", "1m"),
    between=simwright.duration("20ms", "Time from each token to the next.", "0s", "10s"),
    slow=simwright.share("10%", "The share of the requests that wait five times as long for their first token."),
%% end
)


class Lifecycle(simwright.Lifecycle):
    # As in `plugin.toml`; `simwright plugin build` compares.
    name = "{{name}}"
    version = "0.1.0"
    summary = "{{summary}}"
    options = OPTIONS
%% if fault


class Fault(simwright.Fault):
    def decide(self, call):
        # Who comes again is answered. A draw by name depends on the call and on its name: adding another one shifts nothing.
        if not call.is_retry() and call.key().named("refuse").chance(OPTIONS.refuse):
            return Verdict.rate_limited(OPTIONS.wait)
        return Verdict.PASS
%% end
%% if responder


class Responder(simwright.Responder):
    def answer(self, call):
        more = 1 + call.key().named("length").rng().below(OPTIONS.tokens)
        # Text of our own, and as many tokens as were drawn, written by the host.
        return Answer.of([Item.text(OPTIONS.greeting), Item.generate(more)])
%% end
%% if latency


class Latency(simwright.Latency):
    def plan(self, call, output_tokens):
        # A draw by name depends on the call and on its name: adding another one shifts nothing.
        slow = call.key().named("slow").chance(OPTIONS.slow)
        return Schedule.new(OPTIONS.first * 5 if slow else OPTIONS.first, OPTIONS.between)
%% end
