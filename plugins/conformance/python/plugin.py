"""Does all that the contract allows, as it is told: the same in four languages, which are compared.

The newest user message says what: a word and a number. `README.md` beside the four lists them.
"""

import sys
import time

import simwright
from simwright import Answer, Cut, Damage, Delay, Finish, Item, Key, Position, Schedule, Verdict, log, ms, state, us

OPTIONS = simwright.Options(
    rate=simwright.share("25%", "Which part of the first attempts is refused."),
    wait=simwright.duration("1500ms", "For how long.", "1ms", "1h"),
    factor=simwright.number(1.5, "How many times as long everything takes.", 0.5, 10.0),
    limit=simwright.whole(40, "The most tokens of an answer.", 1, 1_000),
    note=simwright.text("so", "What is said before anything else."),
    loud=simwright.flag(False, "Is it said?"),
)

DAMAGES = [
    Damage.MALFORMED_CHUNK,
    Damage.TRUNCATED_JSON,
    Damage.SPLIT_UTF8,
    Damage.MISSING_END,
    Damage.DUPLICATE_CHUNK,
    Damage.SWAP_CHUNKS,
    Damage.WRONG_CONTENT_TYPE,
    Damage.EMPTY_BODY,
    Damage.BAD_TOOL_ARGUMENTS,
    Damage.SCHEMA_VIOLATION,
    Damage.WRONG_USAGE,
]


class Lifecycle(simwright.Lifecycle):
    name = "conformance"
    version = "0.1.0"
    summary = "Does all that the contract allows, as it is told."
    options = OPTIONS


def told(call):
    """The word and the number of the newest user message."""
    words = call.last_user_text().split(" ")
    return words[0], int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def tell(message):
    return Verdict.http(418, message=message)


def or_none(text):
    return "none" if text is None else text


class Fault(simwright.Fault):
    def decide(self, call):
        word, number = told(call)
        if word == "scalars":
            return tell(scalars(call))
        if word == "now":
            return tell(str(call.now_ns))
        if word == "options":
            return tell(shown())
        if word == "draws":
            return tell(draws(call))
        if word == "state":
            return tell(remember(call))
        if word == "request":
            return tell(request(call))
        if word == "log":
            log.info(f"as told: é {call.attempt}")
            log.count("asked", 2)
            return Verdict.PASS
        if word == "print":
            print("printed")
            print("and complained", file=sys.stderr)
            return Verdict.PASS
        if word == "clock":
            return tell(str(int(time.time())))
        if word == "panic":
            raise RuntimeError("as told")
        if word == "verdict":
            return verdict(number)
        if not call.is_retry() and call.key().named("rate").chance(OPTIONS.rate):
            return Verdict.rate_limited(OPTIONS.wait)
        return Verdict.PASS


def shown():
    rate, factor = int(OPTIONS.rate * 10_000), int(OPTIONS.factor * 1_000)
    return f"{rate} {OPTIONS.wait} {factor} {OPTIONS.limit} {OPTIONS.note} {str(OPTIONS.loud).lower()}"


def verdict(number):
    if 9 <= number <= 19:
        return Verdict.damage(DAMAGES[number - 9], Position.token(1))
    verdicts = {
        1: lambda: Verdict.http(503),
        2: lambda: Verdict.http(429, OPTIONS.wait, 'come "again"', "later"),
        3: lambda: Verdict.hang(OPTIONS.wait),
        4: lambda: Verdict.cut(Cut.RESET, Position.START),
        5: lambda: Verdict.cut(Cut.CLOSE, Position.token(3)),
        6: lambda: Verdict.cut(Cut.END, Position.share(0.5)),
        7: lambda: Verdict.stall(OPTIONS.wait, Position.after(ms(20))),
        8: lambda: Verdict.error_event("broken", Position.token(2)),
        20: lambda: Verdict.length(Position.share(0.3)),
        21: lambda: Verdict.content_filter(Position.token(4)),
        22: lambda: Verdict.refusal('no "more"', Position.after(ms(30))),
        23: lambda: Verdict.drip(4_096),
        24: lambda: Verdict.overloaded(OPTIONS.wait),
    }
    return verdicts.get(number, lambda: Verdict.PASS)()


def scalars(call):
    flags = [call.is_streaming(), call.has_tools(), call.wants_json(), call.is_retry(), call.now_ns % 2]
    numbers = [
        call.identity,
        call.attempt,
        call.occurrence,
        call.seed,
        call.model,
        call.tenant,
        call.stage,
        call.operation,
        call.input_tokens,
        call.max_output_tokens,
        call.running,
        call.waiting,
        "".join(str(int(flag)) for flag in flags),
    ]
    return " ".join(str(number) for number in numbers)


def draws(call):
    rng = call.rng()
    bits, unit, below = rng.bits(), rng.unit(), rng.below(1_000)
    between, chance = rng.between(2.0, 10.0), rng.chance(0.5)
    key = call.key().named("größe").with_(7)
    far = Key.of_seed(2**64 - 1).with_(2**64 - 1).rng().bits()
    wide, million = int(unit * 2**53), int(between * 1_000_000)
    return f"{bits} {wide} {below} {million} {str(chance).lower()} {key.bits()} {int(key.unit() * 2**53)} {far}"


def remember(call):
    key = f"key/{call.identity}"
    count = state.add(key, 3, ms(10_000))
    before = state.get(key)
    state.set(key, (before or b"") + b"+", ms(5_000))
    total = state.add("all", 10) + state.add("all", -3)
    down = state.add("down", -(2**40))
    return f"{count} {or_none(before and before.decode())} {total} {down}"


def request(call):
    body = call.body()
    found = [call.header("x-color"), call.header("authorization"), call.attribute("model"), call.attribute("no-such")]
    names = " ".join(or_none(text) for text in found)
    tools = "+".join(call.tool_names())
    return f"{len(body)} {sum(body)} {names} [{tools}] {or_none(call.system_text())} {or_none(call.tool_result())}"


class Responder(simwright.Responder):
    def answer(self, call):
        word, number = told(call)
        if word == "answer" and number in ANSWERS:
            return ANSWERS[number]()
        more = 1 + call.key().named("length").rng().below(OPTIONS.limit)
        said = f"{OPTIONS.note}: {word}" if OPTIONS.loud else word
        return Answer.of([Item.text(said), Item.generate(more)])


ANSWERS = {
    1: lambda: Answer.generate(OPTIONS.limit),
    2: lambda: Answer.of([Item.think(5), Item.text("Eins, zwei: "), Item.generate(7, "code")]),
    3: lambda: Answer.tool_call("look_up"),
    4: lambda: Answer.tool_call("look_up", '{"id":"ä"}'),
    5: lambda: Answer.structured(),
    6: lambda: Answer.refusal("I'd rather not."),
    7: lambda: Answer.of([Item.reasoning("Hm."), Item.text("Yes.")]),
    8: lambda: Answer.of([Item.text("cut")], Finish.LENGTH),
    9: lambda: Answer.of([Item.text("")], Finish.CONTENT_FILTER),
}

DELAYS = {
    1: lambda: Schedule.new(Delay.uniform(ms(1), ms(3)), us(250)),
    2: lambda: Schedule.new(Delay.log_normal(ms(10), ms(40), ms(60)), 0),
    3: lambda: Schedule.new(ms(2), Delay.each([us(100), us(200), ms(1)])),
    4: lambda: Schedule.new(Delay.law("gamma", {"mean": "2ms", "shape": 3}), ms(1)),
    5: lambda: Schedule.new(ms(1), ms(1), [(2, ms(5)), (4, us(500))]),
    6: lambda: Schedule.immediate(),
}


class Latency(simwright.Latency):
    def plan(self, call, output_tokens):
        word, number = told(call)
        if word == "delay" and number in DELAYS:
            return DELAYS[number]()
        first = int((10_000 + 100 * call.input_tokens) * OPTIONS.factor)
        slow = call.key().named("slow").chance(0.5)
        pauses = [(output_tokens // 2, ms(5))] if output_tokens > 4 else []
        return Schedule.new(us(first + 1_000 * call.running), ms(2 if slow else 1), pauses)
