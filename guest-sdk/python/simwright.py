"""Write Simwright plugins in Python.

A plugin is a module `plugin` with one class for each thing it exports: `Lifecycle`, and `Fault`, `Responder` or `Latency`. Each extends
the class of the same name here. `Options` says what a scenario may set, `Key` and `Rng` draw, `state` and `log` talk to the host, and
`Verdict`, `Answer` and `Schedule` make what the behaviours answer. Durations are whole microseconds; `ms(350)` reads better.

`call` is the request in hand. Its numbers are free (`call.attempt`, `call.running`, `call.input_tokens` ...). Its texts ask the host
(`call.header("x-team")`, `call.last_user_text()`, `call.body()`), so ask only where the answer matters.

Draw from the call alone, and ask it for the time (`call.now_ns`): the module `random` and the clock are there, but frozen, and the same
seed must give the same run in real and in virtual time. Remember in `state`: a module's variables are one instance's, and instances
come and go.
"""

import json as _json
import struct as _struct

from componentize_py_types import Err
from wit_world import exports as _exports
from wit_world.exports import lifecycle as _lifecycle
from wit_world.imports import log as _log
from wit_world.imports import request as _request
from wit_world.imports import state as _state
from wit_world.imports.types import Call, Named, Problem, Traits

# A project exports what its `plugin.toml` says; bindings of other kinds are not there.
try:
    from wit_world.exports import fault as _fault
except ImportError:
    _fault = None
try:
    from wit_world.exports import responder as _responder
except ImportError:
    _responder = None
try:
    from wit_world.exports import latency as _latency
except ImportError:
    _latency = None

_MASK = (1 << 64) - 1
_U32 = (1 << 32) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def us(microseconds):
    """So many microseconds."""
    return microseconds


def ms(milliseconds):
    """So many milliseconds, in microseconds."""
    return milliseconds * 1_000


def _u32(number):
    """The nearest number that the contract can say: longer than 71 minutes becomes the longest there is."""
    return 0 if number < 0 else _U32 if number > _U32 else int(number)


def _dump(value):
    """JSON as the other languages write it: without spaces, and as UTF-8."""
    return _json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _whole_ms(duration):
    return _u32(duration // 1_000)


# Draws.


def _finalise(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def _mix(bits):
    return _finalise((bits + _GOLDEN) & _MASK)


_NAMES = {}


def _mixed_name(name):
    """FNV-1a of the name's UTF-8, mixed; kept, because a plugin draws by few names and often."""
    known = _NAMES.get(name)
    if known is None:
        known = 0xCBF29CE484222325
        for byte in name.encode():
            known = ((known ^ byte) * 0x100000001B3) & _MASK
        known = _mix(known)
        if len(_NAMES) < 1_000:
            _NAMES[name] = known
    return known


class Key:
    """A point in a tree of draws: adding or skipping one draw shifts no other."""

    __slots__ = ("_bits",)

    def __init__(self, bits):
        self._bits = bits

    @staticmethod
    def of_seed(seed):
        """The root for one seed."""
        return Key(_mix(seed))

    def named(self, name):
        """The child called `name`."""
        return self._child(_mixed_name(name))

    def with_(self, part):
        """The child with number `part`, from 0 to 2**64 - 1: an index, an identity, an hour."""
        return self._child(_mix(part & _MASK))

    def _child(self, mixed):
        bits = self._bits
        return Key(_mix((((bits << 23) & _MASK) | (bits >> 41)) ^ mixed))

    def bits(self):
        """The draw at this point: 64 uniform bits."""
        return self._bits

    def unit(self):
        """The draw at this point as a number in [0, 1)."""
        return (self._bits >> 11) / (1 << 53)

    def chance(self, probability):
        """True with this probability, from 0 to 1."""
        return self.unit() < probability

    def rng(self):
        """A generator that starts at this point."""
        return Rng(self._bits)


class Rng:
    """A portable generator (SplitMix64) for draws that come in a row."""

    __slots__ = ("_state",)

    def __init__(self, state):
        self._state = state

    def bits(self):
        """The next 64 uniform bits."""
        self._state = (self._state + _GOLDEN) & _MASK
        return _finalise(self._state)

    def unit(self):
        """The next number in [0, 1)."""
        return (self.bits() >> 11) / (1 << 53)

    def chance(self, probability):
        """True with this probability, from 0 to 1."""
        return self.unit() < probability

    def below(self, bound):
        """A whole number below `bound`; 0 if `bound` is 0."""
        return ((self.bits() >> 32) * bound) >> 32

    def between(self, low, high):
        """A number from `low` up to `high`."""
        return low + (high - low) * self.unit()

    def pick(self, items):
        """One of `items`, each as likely; `None` if there are none."""
        return items[self.below(len(items))] if items else None


# The request in hand: what Rust has as methods of `Call` is here, too.


def _tool_names(call):
    names = _request.attribute("tools") or ""
    return [name.strip() for name in names.split(",") if name.strip()]


Call.key = lambda call: Key(_mix(call.seed))
Call.rng = lambda call: Rng(_mix(call.seed))
Call.is_retry = lambda call: call.attempt > 0 or Traits.RETRY in call.traits
Call.is_streaming = lambda call: Traits.STREAMING in call.traits
Call.has_tools = lambda call: Traits.TOOLS in call.traits
Call.wants_json = lambda call: Traits.JSON in call.traits
Call.body = lambda call: _request.body()
Call.header = lambda call, name: _request.header(name)
Call.last_user_text = lambda call: _request.last_user_text()
Call.attribute = lambda call, name: _request.attribute(name)
Call.requested_model = lambda call: _request.attribute("model") or ""
Call.system_text = lambda call: _request.attribute("system") or None
Call.tool_names = _tool_names
Call.tool_result = lambda call: _request.attribute("tool-result")


class state:
    """State that lives in the host: shared by all instances, kept across reloads, the same on both clocks. A lifetime of `None` is
    without end."""

    @staticmethod
    def add(key, delta, lifetime=None):
        """Adds to a counter that begins at 0; gives its new value."""
        return _state.add(key, delta, None if lifetime is None else max(1, _whole_ms(lifetime)))

    @staticmethod
    def get(key):
        """The bytes kept under `key`, or `None`. Counters have keys of their own."""
        return _state.get(key)

    @staticmethod
    def set(key, value, lifetime=None):
        """Keeps bytes under `key`."""
        _state.set(key, value, None if lifetime is None else max(1, _whole_ms(lifetime)))


class log:
    """Lines in the host's log and counters in its metrics. `print` goes to the log, too, as info, and standard error as warn."""

    @staticmethod
    def debug(message):
        _log.write(_log.Level.DEBUG, message)

    @staticmethod
    def info(message):
        _log.write(_log.Level.INFO, message)

    @staticmethod
    def warn(message):
        _log.write(_log.Level.WARN, message)

    @staticmethod
    def error(message):
        _log.write(_log.Level.ERROR, message)

    @staticmethod
    def count(metric, by=1):
        """Adds to a counter of the plugin's own."""
        _log.count(metric, by)


# Options.

_UNITS = {"us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "min": 60e6, "h": 3600e6}


def _split(text, what, example):
    # A number may be small, and its text then has an exponent, which is no part of how people write quantities.
    text, number = (text.strip(), None) if isinstance(text, str) else (text, float(text))
    if number is not None:
        if number < 0:
            raise ValueError(f"`{text}` is negative")
        return number, ""
    end = next((at for at, c in enumerate(text) if not (c in "0123456789.-+_")), len(text))
    try:
        number = float(text[:end].replace("_", ""))
    except ValueError:
        raise ValueError(f"`{text}` is not {what}; write for example {example}") from None
    if number < 0:
        raise ValueError(f"`{text}` is negative")
    return number, text[end:].strip()


def parse_duration(text):
    """Microseconds from `350ms`, `1.5s`, `2m` or `1h`; raises `ValueError`."""
    number, unit = _split(text, "a duration", "`350ms` or `1.5s`")
    if unit == "" and number != 0:
        raise ValueError(f"`{text}` has no unit; write for example `{text}ms`")
    if unit and unit not in _UNITS:
        raise ValueError(f"`{unit}` is no unit of time; use us, ms, s, m or h")
    found = number * _UNITS.get(unit, 0.0)
    if found > 366 * 24 * 3600e6:
        raise ValueError(f"`{text}` is longer than a year")
    return int(found + 0.5)


def parse_share(text):
    """A number from 0 to 1 from `5%` or `0.05`; raises `ValueError`."""
    number, unit = _split(text, "a share", "`5%` or `0.05`")
    if unit not in ("", "%"):
        raise ValueError(f"`{unit}` is no unit of a share; use % or none")
    share = number / 100 if unit else number
    if share > 1:
        raise ValueError(f"`{text}` is more than 100%")
    return share


def _kind_of(value):
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "`true` or `false`"
    if isinstance(value, (int, float)):
        return f"`{value}`"
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, list) else "a map"


def _plain(value):
    return value if isinstance(value, str) else _dump(value)


class _Option:
    """One option: how it is read, its default as a person writes it, its bounds."""

    def __init__(self, read, schema, default, doc, low=None, high=None):
        self.read, self.default, self.low, self.high = read, default, low, high
        self.schema = dict(schema)
        if default is not None:
            self.schema["default"] = default
        if low is not None and not isinstance(low, str):
            self.schema["minimum"], self.schema["maximum"] = low, high
        elif low is not None:
            doc = f"{doc} From {low} to {high}.".strip()
        if doc:
            self.schema["description"] = doc

    def value(self, written):
        value = self.read(written)
        if self.low is not None and not self.read(self.low) <= value <= self.read(self.high):
            raise ValueError(f"expected {_plain(self.low)} to {_plain(self.high)}, found `{_plain(written)}`")
        return value


def _expect(what, test):
    def read(written):
        if not test(written):
            raise ValueError(f"expected {what}, found {_kind_of(written)}")
        return written

    return read


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _quantity(parse, what):
    def read(written):
        if isinstance(written, str) or _is_number(written):
            return parse(written)
        raise ValueError(f"expected {what}, found {_kind_of(written)}")

    return read


_read_duration = _quantity(parse_duration, "a duration such as `350ms`")
_read_share = _quantity(parse_share, "a share such as `5%`")


def duration(default, doc="", low="0s", high="24h"):
    """A time such as `350ms`; read as whole microseconds. Default and bounds are written as in scenarios."""
    schema = {"type": ["string", "number"], "examples": ["350ms", "1.5s", "2m"]}
    return _Option(_read_duration, schema, default, doc, low, high)


def share(default, doc=""):
    """A share such as `5%`; read as a number from 0 to 1."""
    return _Option(_read_share, {"type": ["string", "number"], "examples": ["5%"]}, default, doc)


def whole(default, doc="", low=0, high=_U32):
    """A whole number."""
    read = _expect("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool))
    return _Option(read, {"type": "integer"}, default, doc, low, high)


def number(default, doc="", low=None, high=None):
    """A number."""
    return _Option(_expect("a number", _is_number), {"type": "number"}, default, doc, low, high)


def text(default, doc=""):
    """A text."""
    return _Option(_expect("a text", lambda value: isinstance(value, str)), {"type": "string"}, default, doc)


def flag(default, doc=""):
    """`true` or `false`."""
    return _Option(_expect("`true` or `false`", lambda value: isinstance(value, bool)), {"type": "boolean"}, default, doc)


class Options:
    """What a scenario may set: `OPTIONS = Options(first=duration("350ms", "Time to the first token."))`. Once the host has configured
    the instance, `OPTIONS.first` is the value. `retry_after` here is `retry-after` in a scenario."""

    def __init__(self, **options):
        self._options = {name.replace("_", "-"): option for name, option in options.items()}
        for name, option in self._options.items():
            setattr(self, name.replace("-", "_"), None if option.default is None else option.value(option.default))

    def schema(self):
        """Their JSON Schema as text."""
        properties = {name: option.schema for name, option in self._options.items()}
        return _dump({"type": "object", "properties": properties, "additionalProperties": False})

    def read(self, options_json):
        """Takes the values of a scenario; gives the mistakes, all of them."""
        given = _json.loads(options_json) if options_json.strip() else None
        problems = []
        if given is not None and not isinstance(given, dict):
            return [Problem("", f"expected a map of fields, found {_kind_of(given)}", None)]
        for name, value in (given or {}).items():
            option = self._options.get(name)
            if option is None:
                known = ", ".join(self._options)
                problems.append(Problem(f"/{name}", f"unknown field `{name}`", f"known fields: {known}"))
            elif value is not None:
                try:
                    setattr(self, name.replace("-", "_"), option.value(value))
                except ValueError as error:
                    problems.append(Problem(f"/{name}", str(error), None))
        return problems


# What a plugin exports.


class Lifecycle(_exports.Lifecycle):
    """What the plugin is and how an instance is set up. Extend it, and say `name`, `version`, `summary` and `options`."""

    name = ""
    version = "0.1.0"
    summary = ""
    options = Options()

    def describe(self):
        return _lifecycle.About(self.name, self.version, self.summary, self.options.schema())

    def configure(self, options_json, setting):
        problems = self.options.read(options_json) or self.configured(setting)
        if problems:
            raise Err(problems)

    def configured(self, setting):
        """Called with the setting (names, `epoch_unix_s`) once the options are read: work out here what no call changes. Gives
        problems that only your code can see, or nothing."""


def problem(path, message, hint=None):
    """A mistake in the option at `path`, a JSON pointer such as `/depth`. The message starts in lower case."""
    return Problem(path, message, hint)


if _fault is not None:
    Fault = _exports.Fault
    Cut, Damage, HttpError = _fault.Cut, _fault.Damage, _fault.HttpError

    class Position:
        """Where in the reply something happens."""

        START = _fault.Position_Start()

        @staticmethod
        def token(count):
            return _fault.Position_Token(count)

        @staticmethod
        def share(share):
            return _fault.Position_Share(share)

        @staticmethod
        def after(duration):
            return _fault.Position_AfterMs(_whole_ms(duration))

    def _place_in_words(at):
        if isinstance(at, _fault.Position_Start):
            return "start"
        if isinstance(at, _fault.Position_Token):
            return f"token {at.value}"
        if isinstance(at, _fault.Position_Share):
            # As precise as the contract says a share: 32 bits.
            return f"{_struct.unpack('f', _struct.pack('f', at.value))[0] * 100}%"
        return f"{at.value}ms"

    def _finish(reason, at, **more):
        return _fault.Verdict_Other(Named("finish", _dump({"reason": reason, "at": _place_in_words(at), **more})))

    class Verdict:
        """What becomes of a request."""

        PASS = _fault.Verdict_Pass()

        @staticmethod
        def http(status, retry_after=None, message=None, code=None):
            """Refuse with this status, from 400 to 599. What is not given is what the vendor says for it."""
            wait = None if retry_after is None else _whole_ms(retry_after)
            return _fault.Verdict_Error(_fault.HttpError(status, wait, message, code))

        @staticmethod
        def rate_limited(retry_after):
            """Refuse with 429; come back after `retry_after`."""
            return Verdict.http(429, retry_after)

        @staticmethod
        def overloaded(retry_after):
            """Refuse with 503; come back after `retry_after`."""
            return Verdict.http(503, retry_after)

        @staticmethod
        def hang(time):
            """Send nothing for so long, then close."""
            return _fault.Verdict_HangMs(_whole_ms(time))

        @staticmethod
        def cut(how, at):
            """End the connection or stream at a place in the reply."""
            return _fault.Verdict_Cut((how, at))

        @staticmethod
        def stall(time, at):
            """Send nothing for so long at a place, then go on."""
            return _fault.Verdict_StallMs((_whole_ms(time), at))

        @staticmethod
        def error_event(message, at):
            """Send the vendor's error event at a place in a stream, then end."""
            return _fault.Verdict_ErrorEvent((message, at))

        @staticmethod
        def damage(how, at):
            """Spoil the bytes at a place in the reply."""
            return _fault.Verdict_Damage((how, at))

        @staticmethod
        def length(at):
            """Let the vendor end the reply at a place as if it had reached the token limit."""
            return _finish("length", at)

        @staticmethod
        def content_filter(at):
            """Let the vendor's content filter end the reply at a place."""
            return _finish("content-filter", at)

        @staticmethod
        def refusal(message, at):
            """Let the model refuse to go on at a place, in these words."""
            return _finish("refusal", at, message=message)

        @staticmethod
        def drip(bytes_per_s):
            """Send no more than so many bytes a second."""
            return _fault.Verdict_DripBytesPerS(bytes_per_s)

        @staticmethod
        def other(kind, parameters):
            """A kind that the contract has no case for, with its parameters."""
            return _fault.Verdict_Other(Named(kind, _dump(parameters)))


if _responder is not None:
    Finish = _responder.Finish

    class Responder(_exports.Responder):
        """Extend it with `answer(call)`; with `respond(call, choices)` instead where choices differ."""

        def respond(self, call, choices):
            return [self.answer(call)]

    class Item:
        """A part of an answer."""

        STRUCTURED = _responder.Item_Structured()

        @staticmethod
        def generate(tokens, style=""):
            return _responder.Item_Generate(_responder.Generate(tokens, style))

        @staticmethod
        def think(tokens, style=""):
            return _responder.Item_Think(_responder.Generate(tokens, style))

        @staticmethod
        def text(text):
            return _responder.Item_Text(text)

        @staticmethod
        def reasoning(text):
            return _responder.Item_Reasoning(text)

        @staticmethod
        def tool_call(name, arguments_json=None):
            return _responder.Item_ToolCall(_responder.ToolCall(name, arguments_json))

        @staticmethod
        def refusal(text):
            return _responder.Item_Refusal(text)

        @staticmethod
        def other(kind, parameters):
            return _responder.Item_Other(Named(kind, _dump(parameters)))

    class Answer:
        """What is answered."""

        @staticmethod
        def of(items, finish=Finish.STOP):
            """These parts, in order."""
            return _responder.Answer(items, finish)

        @staticmethod
        def text(text):
            """This text."""
            return Answer.of([Item.text(text)])

        @staticmethod
        def generate(tokens, style=""):
            """So many tokens of text for the host to write, in a style it knows."""
            return Answer.of([Item.generate(tokens, style)])

        @staticmethod
        def tool_call(name, arguments_json=None):
            """One tool call. Without arguments the host writes some that satisfy the tool's schema."""
            return Answer.of([Item.tool_call(name, arguments_json)], Finish.TOOL_CALLS)

        @staticmethod
        def structured():
            """JSON in the form that the request asks for, written by the host."""
            return Answer.of([Item.STRUCTURED])

        @staticmethod
        def refusal(text):
            """A refusal with this text."""
            return Answer.of([Item.refusal(text)])


if _latency is not None:
    Latency = _exports.Latency

    def _delay(delay):
        """A duration or a rule as a rule."""
        return _latency.Delay_Us(_u32(delay)) if isinstance(delay, (int, float)) else delay

    class Delay:
        """How long something takes: by rule, drawn by the host."""

        @staticmethod
        def uniform(low, high):
            """Uniform between two bounds."""
            return _latency.Delay_Uniform(_latency.Uniform(_u32(low), _u32(high)))

        @staticmethod
        def log_normal(p50, p99, at_most=0):
            """Log-normal by its median and 99th percentile; never longer than `at_most` unless that is 0."""
            return _latency.Delay_LogNormal(_latency.LogNormal(_u32(p50), _u32(p99), _u32(at_most)))

        @staticmethod
        def each(durations):
            """One duration after the other; the last one repeats."""
            return _latency.Delay_EachUs([_u32(duration) for duration in durations])

        @staticmethod
        def law(name, parameters):
            """A law by the name that scenarios give it: `Delay.law("gamma", {"mean": "18ms", "shape": 3})`."""
            return _latency.Delay_Other(Named(name, _dump(parameters)))

    class Schedule:
        """When the tokens of a reply leave. Durations or rules; pauses are pairs of a token, counted from 1, and a duration."""

        @staticmethod
        def new(first, between, pauses=()):
            """`first` until the first token, then `between` from each token to the next."""
            extra = [_latency.Pause(token, _u32(length)) for token, length in pauses]
            return _latency.Schedule(_delay(first), _delay(between), extra)

        @staticmethod
        def immediate():
            """No delay at all."""
            return Schedule.new(0, 0)
