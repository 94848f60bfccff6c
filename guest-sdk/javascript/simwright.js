// Write Simwright plugins in JavaScript.
//
// A plugin is a module that exports `lifecycle` (made by `lifecycle(...)` here) and `fault`, `responder` or `latency`: objects with the
// behaviour's function. `options` says what a scenario may set, `key` and `rng` draw, `state` and `log` talk to the host, and `Verdict`,
// `Answer` and `Schedule` make what the behaviours answer. Durations are numbers of microseconds; `ms(350)` reads better.
//
// `call` is the request in hand. Its numbers are free (`call.attempt`, `call.running`, `call.inputTokens` ...; identity, seed and nowNs
// are BigInts). Texts ask the host (`header("x-team")`, `lastUserText()`, `body()`), so ask only where the answer matters.
//
// Draw from the call alone, and ask it for the time (`call.nowNs`): `Math.random` and `Date` are there, but frozen or drawn by others, and
// the same seed must give the same run in real and in virtual time. Remember in `state`: a module's variables are one instance's, and
// instances come and go.

import * as requests from "simwright:plugin/request@{{version}}";
import * as states from "simwright:plugin/state@{{version}}";
import * as logs from "simwright:plugin/log@{{version}}";

const U32 = 0xffffffff;

/** So many microseconds. */
export const us = (microseconds) => microseconds;
/** So many milliseconds, in microseconds. */
export const ms = (milliseconds) => milliseconds * 1_000;

// The nearest number that the contract can say: longer than 71 minutes becomes the longest there is.
const u32 = (number) => (number > U32 ? U32 : number > 0 ? Math.trunc(number) : 0);
const wholeMs = (duration) => u32(duration / 1_000);

// Draws. A 64-bit number is two halves of 32 bits, because arithmetic on BigInts costs several times as much.

let high = 0;
let low = 0;

// (high, low) := (high, low) * (h, l), the lower 64 bits.
function multiply(h, l) {
  const a = low >>> 16, b = low & 0xffff, c = l >>> 16, d = l & 0xffff;
  const bd = b * d;
  const middle = a * d + (bd >>> 16);
  const other = b * c + (middle & 0xffff);
  const carry = a * c + (middle >>> 16) + (other >>> 16);
  high = (Math.imul(high, l) + Math.imul(low, h) + carry) >>> 0;
  low = (((other & 0xffff) << 16) | (bd & 0xffff)) >>> 0;
}

// (high, low) ^= (high, low) >> bits, for 1 to 31 bits.
function fold(bits) {
  low = (low ^ ((low >>> bits) | (high << (32 - bits)))) >>> 0;
  high = (high ^ (high >>> bits)) >>> 0;
}

function add(h, l) {
  const sum = low + l;
  low = sum >>> 0;
  high = (high + h + (sum > U32 ? 1 : 0)) >>> 0;
}

function finalise() {
  fold(30);
  multiply(0xbf58476d, 0x1ce4e5b9);
  fold(27);
  multiply(0x94d049bb, 0x133111eb);
  fold(31);
}

function mix() {
  add(0x9e3779b9, 0x7f4a7c15);
  finalise();
}

function load(bits) {
  high = Number(BigInt.asUintN(32, bits >> 32n));
  low = Number(BigInt.asUintN(32, bits));
}

const names = new Map();

// FNV-1a of the name's UTF-8, mixed; kept, because a plugin draws by few names and often.
function mixedName(name) {
  let known = names.get(name);
  if (known === undefined) {
    high = 0xcbf29ce4;
    low = 0x84222325;
    for (const byte of new TextEncoder().encode(name)) {
      low = (low ^ byte) >>> 0;
      multiply(0x100, 0x1b3);
    }
    mix();
    known = [high, low];
    if (names.size < 1_000) names.set(name, known);
  }
  return known;
}

const unitOf = (h, l) => (h * 2_097_152 + (l >>> 11)) / 9_007_199_254_740_992;
const bitsOf = (h, l) => (BigInt(h) << 32n) | BigInt(l);

/** A point in a tree of draws: adding or skipping one draw shifts no other. */
export class Key {
  constructor(h, l) {
    this.h = h;
    this.l = l;
  }
  /** The root for one seed, a BigInt. */
  static ofSeed(seed) {
    load(seed);
    mix();
    return new Key(high, low);
  }
  /** The child called `name`. */
  named(name) {
    const [h, l] = mixedName(name);
    return this.child(h, l);
  }
  /** The child with number `part`, a whole number or a BigInt: an index, an identity, an hour. */
  with(part) {
    load(BigInt(part));
    mix();
    return this.child(high, low);
  }
  child(h, l) {
    const left = ((this.h << 23) | (this.l >>> 9)) >>> 0;
    const right = ((this.l << 23) | (this.h >>> 9)) >>> 0;
    high = (left ^ h) >>> 0;
    low = (right ^ l) >>> 0;
    mix();
    return new Key(high, low);
  }
  /** The draw at this point: 64 uniform bits, a BigInt. */
  bits() {
    return bitsOf(this.h, this.l);
  }
  /** The draw at this point as a number in [0, 1). */
  unit() {
    return unitOf(this.h, this.l);
  }
  /** True with this probability, from 0 to 1. */
  chance(probability) {
    return this.unit() < probability;
  }
  /** A generator that starts at this point. */
  rng() {
    return new Rng(this.h, this.l);
  }
}

/** A portable generator (SplitMix64) for draws that come in a row. */
export class Rng {
  constructor(h, l) {
    this.h = h;
    this.l = l;
  }
  next() {
    high = this.h;
    low = this.l;
    add(0x9e3779b9, 0x7f4a7c15);
    this.h = high;
    this.l = low;
    finalise();
  }
  /** The next 64 uniform bits, a BigInt. */
  bits() {
    this.next();
    return bitsOf(high, low);
  }
  /** The next number in [0, 1). */
  unit() {
    this.next();
    return unitOf(high, low);
  }
  /** True with this probability, from 0 to 1. */
  chance(probability) {
    return this.unit() < probability;
  }
  /** A whole number below `bound`; 0 if `bound` is 0. */
  below(bound) {
    this.next();
    const drawn = high;
    // The upper half of a product of two numbers of 32 bits.
    return Number((BigInt(drawn) * BigInt(bound)) >> 32n);
  }
  /** A number from `low` up to `high`. */
  between(from, to) {
    return from + (to - from) * this.unit();
  }
  /** One of `items`, each as likely; `undefined` if there are none. */
  pick(items) {
    return items[this.below(items.length)];
  }
}

// The request in hand.

/** The root of this call's named draws: `key(call).named("length").unit()` is not shifted by other draws. */
export const key = (call) => Key.ofSeed(call.seed);
/** A generator for draws that come in a row. */
export const rng = (call) => key(call).rng();
/** Is this a repeated attempt of the same request? */
export const isRetry = (call) => call.attempt > 0 || Boolean(call.traits.retry);
/** Does the client want a stream? */
export const isStreaming = (call) => Boolean(call.traits.streaming);
/** Does the request offer tools that may be called? */
export const hasTools = (call) => Boolean(call.traits.tools);
/** Does the request ask for JSON? */
export const wantsJson = (call) => Boolean(call.traits.json);
/** The body as the client sent it, a `Uint8Array`. */
export const body = () => requests.body();
/** A header by its lower-case name. Credentials are never shown. */
export const header = (name) => requests.header(name);
/** The text of the newest user message; empty if there is none. */
export const lastUserText = () => requests.lastUserText();
/** A fact by name: `model`, `tools`, `system`, `tool-result`. */
export const attribute = (name) => requests.attribute(name);
/** The model that the client asked for, in its own words. */
export const requestedModel = () => attribute("model") ?? "";
/** The system messages, or `undefined`. */
export const systemText = () => attribute("system") || undefined;
/** What the last tool answered, or `undefined` if the request brings no such answer. */
export const toolResult = () => attribute("tool-result");
/** Names of the tools that the client declared. */
export const toolNames = () => (attribute("tools") ?? "").split(",").map((name) => name.trim()).filter((name) => name !== "");

const lifetimeMs = (lifetime) => (lifetime === undefined ? undefined : Math.max(1, wholeMs(lifetime)));

// Of a number below zero, componentize-js 0.23 gives the bits as if they were unsigned.
/** State that lives in the host: shared by all instances, kept across reloads, the same on both clocks. Without a lifetime it has no end. */
export const state = {
  /** Adds a whole number to a counter that begins at 0; gives its new value as a number, exact up to 2 ** 53. */
  add: (name, delta, lifetime) => Number(BigInt.asIntN(64, states.add(name, BigInt(delta), lifetimeMs(lifetime)))),
  /** The bytes kept under `name`, or `undefined`. Counters have keys of their own. */
  get: (name) => states.get(name),
  /** Keeps bytes, a `Uint8Array`. */
  set: (name, value, lifetime) => states.set(name, value, lifetimeMs(lifetime)),
};

/** Lines in the host's log and counters in its metrics. `console.log` goes to the log, too, as info, and `console.error` as warn. */
export const log = {
  debug: (message) => logs.write("debug", message),
  info: (message) => logs.write("info", message),
  warn: (message) => logs.write("warn", message),
  error: (message) => logs.write("error", message),
  /** Adds to a counter of the plugin's own. */
  count: (metric, by = 1) => logs.count(metric, BigInt(by)),
};

// Options.

class Wrong extends Error {}

const UNITS = { us: 1, "µs": 1, ms: 1e3, s: 1e6, m: 60e6, min: 60e6, h: 3600e6 };

function split(given, what, example) {
  // A number may be small, and its text then has an exponent, which is no part of how people write quantities.
  if (typeof given === "number") {
    if (given < 0) throw new Wrong(`\`${given}\` is negative`);
    return [given, ""];
  }
  const written = given.trim();
  const [, digits, unit] = /^([0-9.+_-]*)(.*)$/su.exec(written);
  const plain = digits.replaceAll("_", "");
  const found = plain === "" ? NaN : Number(plain);
  if (Number.isNaN(found)) throw new Wrong(`\`${written}\` is not ${what}; write for example ${example}`);
  if (found < 0) throw new Wrong(`\`${written}\` is negative`);
  return [found, unit.trim()];
}

/** Microseconds from `350ms`, `1.5s`, `2m` or `1h`. */
export function parseDuration(written) {
  const [found, unit] = split(written, "a duration", "`350ms` or `1.5s`");
  if (unit === "" && found !== 0) throw new Wrong(`\`${written}\` has no unit; write for example \`${written}ms\``);
  if (unit !== "" && !(unit in UNITS)) throw new Wrong(`\`${unit}\` is no unit of time; use us, ms, s, m or h`);
  const length = found * (UNITS[unit] ?? 0);
  if (length > 366 * 24 * 3600e6) throw new Wrong(`\`${written}\` is longer than a year`);
  return Math.round(length);
}

/** A number from 0 to 1 from `5%` or `0.05`. */
export function parseShare(written) {
  const [found, unit] = split(written, "a share", "`5%` or `0.05`");
  if (unit !== "" && unit !== "%") throw new Wrong(`\`${unit}\` is no unit of a share; use % or none`);
  const part = unit === "%" ? found / 100 : found;
  if (part > 1) throw new Wrong(`\`${written}\` is more than 100%`);
  return part;
}

function kindOf(value) {
  if (value === null) return "nothing";
  if (typeof value === "boolean") return "`true` or `false`";
  if (typeof value === "number") return `\`${value}\``;
  return typeof value === "string" ? "a text" : Array.isArray(value) ? "a list" : "a map";
}

const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function option(read, schema, fallback, doc, least, most) {
  const bounded = least !== undefined;
  const inWords = bounded && typeof least === "string";
  const description = inWords ? `${doc} From ${least} to ${most}.`.trim() : doc;
  return {
    schema: {
      ...schema,
      ...(description ? { description } : {}),
      ...(fallback === undefined ? {} : { default: fallback }),
      ...(bounded && !inWords ? { minimum: least, maximum: most } : {}),
    },
    fallback,
    value(written) {
      const value = read(written);
      if (bounded && !(read(least) <= value && value <= read(most))) {
        throw new Wrong(`expected ${plain(least)} to ${plain(most)}, found \`${plain(written)}\``);
      }
      return value;
    },
  };
}

const expect = (what, test) => (written) => {
  if (!test(written)) throw new Wrong(`expected ${what}, found ${kindOf(written)}`);
  return written;
};

const quantity = (parse, what) => (written) => {
  if (typeof written === "string" || typeof written === "number") return parse(written);
  throw new Wrong(`expected ${what}, found ${kindOf(written)}`);
};

const readDuration = quantity(parseDuration, "a duration such as `350ms`");
const readShare = quantity(parseShare, "a share such as `5%`");

/** A time such as `350ms`; read as microseconds. Default and bounds are written as in scenarios. */
export const duration = (fallback, doc = "", least = "0s", most = "24h") =>
  option(readDuration, { type: ["string", "number"], examples: ["350ms", "1.5s", "2m"] }, fallback, doc, least, most);
/** A share such as `5%`; read as a number from 0 to 1. */
export const share = (fallback, doc = "") =>
  option(readShare, { type: ["string", "number"], examples: ["5%"] }, fallback, doc);
/** A whole number. */
export const whole = (fallback, doc = "", least = 0, most = U32) =>
  option(expect("a whole number", Number.isInteger), { type: "integer" }, fallback, doc, least, most);
/** A number. */
export const number = (fallback, doc = "", least, most) =>
  option(expect("a number", (value) => typeof value === "number"), { type: "number" }, fallback, doc, least, most);
/** A text. */
export const text = (fallback, doc = "") =>
  option(expect("a text", (value) => typeof value === "string"), { type: "string" }, fallback, doc);
/** `true` or `false`. */
export const flag = (fallback, doc = "") =>
  option(expect("`true` or `false`", (value) => typeof value === "boolean"), { type: "boolean" }, fallback, doc);

const written = (name) => name.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`);

/**
 * What a scenario may set: `const options = declare({ first: duration("350ms", "Time to the first token.") })`. Once the host has
 * configured the instance, `options.first` is the value. `retryAfter` here is `retry-after` in a scenario.
 */
export function declare(declared) {
  const values = {};
  for (const [name, { fallback, value }] of Object.entries(declared)) {
    values[name] = fallback === undefined ? undefined : value(fallback);
  }
  Object.defineProperty(values, DECLARED, { value: declared });
  return values;
}

const DECLARED = Symbol("declared");

function schemaOf(options) {
  const properties = {};
  for (const [name, { schema }] of Object.entries(options[DECLARED])) properties[written(name)] = schema;
  return JSON.stringify({ type: "object", properties, additionalProperties: false });
}

/** A mistake in the option at `path`, a JSON pointer such as `/depth`. The message starts in lower case. */
export const problem = (path, message, hint) => ({ path, message, hint });

function readOptions(options, json) {
  const given = json.trim() === "" ? {} : (JSON.parse(json) ?? {});
  if (typeof given !== "object" || Array.isArray(given)) return [problem("", `expected a map of fields, found ${kindOf(given)}`)];
  const declared = new Map(Object.keys(options[DECLARED]).map((name) => [written(name), name]));
  const problems = [];
  for (const [field, value] of Object.entries(given)) {
    const name = declared.get(field);
    if (name === undefined) {
      problems.push(problem(`/${field}`, `unknown field \`${field}\``, `known fields: ${[...declared.keys()].join(", ")}`));
    } else if (value !== null) {
      try {
        options[name] = options[DECLARED][name].value(value);
      } catch (error) {
        if (!(error instanceof Wrong)) throw error;
        problems.push(problem(`/${field}`, error.message));
      }
    }
  }
  return problems;
}

/**
 * What the plugin is and how an instance is set up. `configured(setting)` is called once the options are read: work out there what no
 * call changes, and give problems that only your code can see.
 */
export const lifecycle = ({ name, version, summary, options = declare({}), configured = () => [] }) => ({
  describe: () => ({ name, version, summary, optionsSchema: schemaOf(options) }),
  configure(optionsJson, setting) {
    let problems = readOptions(options, optionsJson);
    if (problems.length === 0) problems = configured(setting) ?? [];
    if (problems.length > 0) throw problems;
  },
});

// What behaviours answer.

/** Where in the reply something happens. */
export const Position = {
  START: { tag: "start" },
  token: (count) => ({ tag: "token", val: count }),
  share: (part) => ({ tag: "share", val: part }),
  after: (time) => ({ tag: "after-ms", val: wholeMs(time) }),
};

function placeInWords({ tag, val }) {
  if (tag === "start") return "start";
  if (tag === "token") return `token ${val}`;
  // As precise as the contract says a share: 32 bits.
  return tag === "share" ? `${Math.fround(val) * 100}%` : `${val}ms`;
}

const finish = (reason, at, more = {}) => Verdict.other("finish", { reason, at: placeInWords(at), ...more });

/** What becomes of a request. */
export const Verdict = {
  PASS: { tag: "pass" },
  /** Refuse with this status, from 400 to 599. What is not given is what the vendor says for it. */
  http: (status, { retryAfter, message, code } = {}) => ({
    tag: "error",
    val: { status, retryAfterMs: retryAfter === undefined ? undefined : wholeMs(retryAfter), message, code },
  }),
  /** Refuse with 429; come back after `retryAfter`. */
  rateLimited: (retryAfter) => Verdict.http(429, { retryAfter }),
  /** Refuse with 503; come back after `retryAfter`. */
  overloaded: (retryAfter) => Verdict.http(503, { retryAfter }),
  /** Send nothing for so long, then close. */
  hang: (time) => ({ tag: "hang-ms", val: wholeMs(time) }),
  /** End the connection or stream at a place in the reply: `reset`, `close` or `end`. */
  cut: (how, at) => ({ tag: "cut", val: [how, at] }),
  /** Send nothing for so long at a place, then go on. */
  stall: (time, at) => ({ tag: "stall-ms", val: [wholeMs(time), at] }),
  /** Send the vendor's error event at a place in a stream, then end. */
  errorEvent: (message, at) => ({ tag: "error-event", val: [message, at] }),
  /** Spoil the bytes at a place in the reply: `malformed-chunk`, `truncated-json` ... */
  damage: (how, at) => ({ tag: "damage", val: [how, at] }),
  /** Let the vendor end the reply at a place as if it had reached the token limit. */
  length: (at) => finish("length", at),
  /** Let the vendor's content filter end the reply at a place. */
  contentFilter: (at) => finish("content-filter", at),
  /** Let the model refuse to go on at a place, in these words. */
  refusal: (message, at) => finish("refusal", at, { message }),
  /** Send no more than so many bytes a second. */
  drip: (bytesPerS) => ({ tag: "drip-bytes-per-s", val: bytesPerS }),
  /** A kind that the contract has no case for, with its parameters. */
  other: (kind, parameters) => ({ tag: "other", val: { kind, json: JSON.stringify(parameters) } }),
};

/** A part of an answer. */
export const Item = {
  STRUCTURED: { tag: "structured" },
  generate: (tokens, style = "") => ({ tag: "generate", val: { tokens, style } }),
  think: (tokens, style = "") => ({ tag: "think", val: { tokens, style } }),
  text: (words) => ({ tag: "text", val: words }),
  reasoning: (words) => ({ tag: "reasoning", val: words }),
  toolCall: (name, argumentsJson) => ({ tag: "tool-call", val: { name, argumentsJson } }),
  refusal: (words) => ({ tag: "refusal", val: words }),
  other: (kind, parameters) => ({ tag: "other", val: { kind, json: JSON.stringify(parameters) } }),
};

/** What is answered. `finish` is `stop`, `length`, `tool-calls` or `content-filter`. */
export const Answer = {
  of: (items, end = "stop") => ({ items, finish: end }),
  text: (words) => Answer.of([Item.text(words)]),
  /** So many tokens of text for the host to write, in a style it knows. */
  generate: (tokens, style = "") => Answer.of([Item.generate(tokens, style)]),
  /** One tool call. Without arguments the host writes some that satisfy the tool's schema. */
  toolCall: (name, argumentsJson) => Answer.of([Item.toolCall(name, argumentsJson)], "tool-calls"),
  structured: () => Answer.of([Item.STRUCTURED]),
  refusal: (words) => Answer.of([Item.refusal(words)]),
};

const delayOf = (delay) => (typeof delay === "number" ? { tag: "us", val: u32(delay) } : delay);

/** How long something takes: by rule, drawn by the host. */
export const Delay = {
  uniform: (least, most) => ({ tag: "uniform", val: { minUs: u32(least), maxUs: u32(most) } }),
  /** Log-normal by its median and 99th percentile; never longer than `atMost` unless that is 0. */
  logNormal: (p50, p99, atMost = 0) => ({ tag: "log-normal", val: { p50Us: u32(p50), p99Us: u32(p99), capUs: u32(atMost) } }),
  /** One duration after the other; the last one repeats. */
  each: (durations) => ({ tag: "each-us", val: Uint32Array.from(durations, u32) }),
  /** A law by the name that scenarios give it: `Delay.law("gamma", { mean: "18ms", shape: 3 })`. */
  law: (kind, parameters) => ({ tag: "other", val: { kind, json: JSON.stringify(parameters) } }),
};

/** When the tokens of a reply leave. Durations or rules; pauses are pairs of a token, counted from 1, and a duration. */
export const Schedule = {
  of: (first, between, pauses = []) => ({
    first: delayOf(first),
    between: delayOf(between),
    pauses: pauses.map(([afterToken, length]) => ({ afterToken, us: u32(length) })),
  }),
  /** No delay at all. */
  immediate: () => Schedule.of(0, 0),
};
