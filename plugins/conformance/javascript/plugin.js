// Does all that the contract allows, as it is told: the same in four languages, which are compared.
//
// The newest user message says what: a word and a number. `README.md` beside the four lists them.

import * as simwright from "./vendor/simwright.js";
import { Answer, Delay, Item, Key, Position, Schedule, Verdict, attribute, body, header } from "./vendor/simwright.js";
import { isRetry, key, lastUserText, log, ms, rng, state, toolNames, us } from "./vendor/simwright.js";

const options = simwright.declare({
  rate: simwright.share("25%", "Which part of the first attempts is refused."),
  wait: simwright.duration("1500ms", "For how long.", "1ms", "1h"),
  factor: simwright.number(1.5, "How many times as long everything takes.", 0.5, 10),
  limit: simwright.whole(40, "The most tokens of an answer.", 1, 1_000),
  note: simwright.text("so", "What is said before anything else."),
  loud: simwright.flag(false, "Is it said?"),
});

export const lifecycle = simwright.lifecycle({
  name: "conformance",
  version: "0.1.0",
  summary: "Does all that the contract allows, as it is told.",
  options,
});

const DAMAGES = [
  "malformed-chunk", "truncated-json", "split-utf8", "missing-end", "duplicate-chunk", "swap-chunks", "wrong-content-type", "empty-body",
  "bad-tool-arguments", "schema-violation", "wrong-usage",
];

// The word and the number of the newest user message.
function told() {
  const [word, number] = lastUserText().split(" ");
  return [word, /^[0-9]+$/u.test(number ?? "") ? Number(number) : 0];
}

const tell = (message) => Verdict.http(418, { message });
const orNone = (text) => text ?? "none";
const WIDE = 9_007_199_254_740_992;

export const fault = {
  decide(call) {
    const [word, number] = told();
    switch (word) {
      case "scalars":
        return tell(scalars(call));
      case "now":
        return tell(String(call.nowNs));
      case "options":
        return tell(shown());
      case "draws":
        return tell(draws(call));
      case "state":
        return tell(remember(call));
      case "request":
        return tell(request());
      case "log":
        log.info(`as told: é ${call.attempt}`);
        log.count("asked", 2);
        return Verdict.PASS;
      case "print":
        console.log("printed");
        console.error("and complained");
        return Verdict.PASS;
      case "clock":
        return tell(String(Math.floor(Date.now() / 1_000)));
      case "panic":
        throw new Error("as told");
      case "verdict":
        return verdict(number);
      default:
        return !isRetry(call) && key(call).named("rate").chance(options.rate) ? Verdict.rateLimited(options.wait) : Verdict.PASS;
    }
  },
};

function shown() {
  const [rate, factor] = [Math.trunc(options.rate * 10_000), Math.trunc(options.factor * 1_000)];
  return `${rate} ${options.wait} ${factor} ${options.limit} ${options.note} ${options.loud}`;
}

function verdict(number) {
  if (number >= 9 && number <= 19) return Verdict.damage(DAMAGES[number - 9], Position.token(1));
  const { wait } = options;
  const verdicts = {
    1: () => Verdict.http(503),
    2: () => Verdict.http(429, { retryAfter: wait, message: 'come "again"', code: "later" }),
    3: () => Verdict.hang(wait),
    4: () => Verdict.cut("reset", Position.START),
    5: () => Verdict.cut("close", Position.token(3)),
    6: () => Verdict.cut("end", Position.share(0.5)),
    7: () => Verdict.stall(wait, Position.after(ms(20))),
    8: () => Verdict.errorEvent("broken", Position.token(2)),
    20: () => Verdict.length(Position.share(0.3)),
    21: () => Verdict.contentFilter(Position.token(4)),
    22: () => Verdict.refusal('no "more"', Position.after(ms(30))),
    23: () => Verdict.drip(4_096),
    24: () => Verdict.overloaded(wait),
  };
  return number in verdicts ? verdicts[number]() : Verdict.PASS;
}

function scalars(call) {
  const { streaming, tools, json } = call.traits;
  const flags = [streaming, tools, json, isRetry(call), call.nowNs % 2n].map((flag) => (flag ? "1" : "0"));
  const numbers = [
    call.identity, call.attempt, call.occurrence, call.seed, call.model, call.tenant, call.stage, call.operation, call.inputTokens,
    call.maxOutputTokens, call.running, call.waiting, flags.join(""),
  ];
  return numbers.join(" ");
}

function draws(call) {
  const generator = rng(call);
  const [bits, unit, below] = [generator.bits(), generator.unit(), generator.below(1_000)];
  const [between, chance] = [generator.between(2, 10), generator.chance(0.5)];
  const point = key(call).named("größe").with(7);
  const far = Key.ofSeed(2n ** 64n - 1n).with(2n ** 64n - 1n).rng().bits();
  const millions = Math.trunc(between * 1_000_000);
  return `${bits} ${unit * WIDE} ${below} ${millions} ${chance} ${point.bits()} ${point.unit() * WIDE} ${far}`;
}

function remember(call) {
  const name = `key/${call.identity}`;
  const count = state.add(name, 3, ms(10_000));
  const before = state.get(name);
  const text = before && new TextDecoder().decode(before);
  state.set(name, new TextEncoder().encode(`${text ?? ""}+`), ms(5_000));
  const all = state.add("all", 10) + state.add("all", -3);
  return `${count} ${orNone(text)} ${all} ${state.add("down", -(2 ** 40))}`;
}

function request() {
  const bytes = body();
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  const found = [header("x-color"), header("authorization"), attribute("model"), attribute("no-such")].map(orNone).join(" ");
  const system = orNone(attribute("system") || undefined);
  return `${bytes.length} ${sum} ${found} [${toolNames().join("+")}] ${system} ${orNone(attribute("tool-result"))}`;
}

const ANSWERS = {
  1: () => Answer.generate(options.limit),
  2: () => Answer.of([Item.think(5), Item.text("Eins, zwei: "), Item.generate(7, "code")]),
  3: () => Answer.toolCall("look_up"),
  4: () => Answer.toolCall("look_up", '{"id":"ä"}'),
  5: () => Answer.structured(),
  6: () => Answer.refusal("I'd rather not."),
  7: () => Answer.of([Item.reasoning("Hm."), Item.text("Yes.")]),
  8: () => Answer.of([Item.text("cut")], "length"),
  9: () => Answer.of([Item.text("")], "content-filter"),
};

export const responder = {
  respond(call) {
    const [word, number] = told();
    if (word === "answer" && number in ANSWERS) return [ANSWERS[number]()];
    const more = 1 + key(call).named("length").rng().below(options.limit);
    return [Answer.of([Item.text(options.loud ? `${options.note}: ${word}` : word), Item.generate(more)])];
  },
};

const DELAYS = {
  1: () => Schedule.of(Delay.uniform(ms(1), ms(3)), us(250)),
  2: () => Schedule.of(Delay.logNormal(ms(10), ms(40), ms(60)), 0),
  3: () => Schedule.of(ms(2), Delay.each([us(100), us(200), ms(1)])),
  4: () => Schedule.of(Delay.law("gamma", { mean: "2ms", shape: 3 }), ms(1)),
  5: () => Schedule.of(ms(1), ms(1), [[2, ms(5)], [4, us(500)]]),
  6: () => Schedule.immediate(),
};

export const latency = {
  plan(call, outputTokens) {
    const [word, number] = told();
    if (word === "delay" && number in DELAYS) return DELAYS[number]();
    const first = Math.trunc((10_000 + 100 * call.inputTokens) * options.factor);
    const slow = key(call).named("slow").chance(0.5);
    const pauses = outputTokens > 4 ? [[Math.trunc(outputTokens / 2), ms(5)]] : [];
    return Schedule.of(us(first + 1_000 * call.running), ms(slow ? 2 : 1), pauses);
  },
};
