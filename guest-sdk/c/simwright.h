// Write Simwright plugins in C.
//
// A plugin is one or more `.c` files beside `plugin.toml`. One of them says `SW_PLUGIN(name, version, summary, options)`, and
// `SW_FAULT(function)`, `SW_RESPONDER(function)` or `SW_LATENCY(function)` for each kind in `plugin.toml`. `sw_option` says what a scenario
// may set, `sw_key` and `sw_rng` draw, `sw_state_...` and `sw_log` talk to the host, and `sw_verdict`, `sw_answer` and `sw_schedule` are what the
// behaviours answer. Durations are whole microseconds (`sw_us`); `sw_ms(350)` reads better.
//
// `call` is the request in hand. Its numbers are free (`call->attempt`, `call->running`, `call->input_tokens` ...). Its texts ask the host
// (`sw_header("x-team")`, `sw_last_user_text()`, `sw_body(&length)`), so ask only where the answer matters. They are yours until the call ends.
// Texts that you answer with are copied: give literals, buffers, whatever lives at the moment.
//
// Draw from the call alone, and ask it for the time (`call->now_ns`): `rand` and `time` are there, but frozen or drawn by others, and the same
// seed must give the same run in real and in virtual time. Remember in state: a static variable is one instance's, and instances come
// and go. `component.h` is made from the contract by `simwright plugin build`; it lies in `build/bindings`.
#ifndef SIMWRIGHT_H
#define SIMWRIGHT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "component.h"

#define SW_INLINE static inline __attribute__((unused))

typedef simwright_plugin_types_call_t sw_call;
// A duration in microseconds.
typedef uint64_t sw_us;

SW_INLINE sw_us sw_ms(uint64_t milliseconds) { return milliseconds * 1000; }
SW_INLINE sw_us sw_s(uint64_t seconds) { return seconds * 1000000; }

// The nearest number that the contract can say: longer than 71 minutes becomes the longest there is.
SW_INLINE uint32_t sw_u32(uint64_t number) { return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number; }

// What a call was given by the host, to be freed when it ends.
#define SW_SCRATCH 256
__attribute__((weak)) void *sw_scratch[SW_SCRATCH];
__attribute__((weak)) size_t sw_scratch_used;

// Keeps memory until the call ends; aborts the call, not the server, if one call keeps too much.
SW_INLINE void *sw_keep(void *memory) {
  if (memory == NULL || sw_scratch_used == SW_SCRATCH) abort();
  return sw_scratch[sw_scratch_used++] = memory;
}

SW_INLINE void sw_end_call(void) {
  while (sw_scratch_used > 0) free(sw_scratch[--sw_scratch_used]);
}

// Borrows a text for a question to the host.
SW_INLINE component_string_t sw_borrow(const char *text) {
  component_string_t borrowed = {(uint8_t *)text, strlen(text)};
  return borrowed;
}

// Copies a text into an answer.
SW_INLINE component_string_t sw_copy(const char *text) {
  component_string_t copied;
  component_string_dup(&copied, text);
  return copied;
}

// A text of the host's, with a zero behind it.
SW_INLINE char *sw_taken(const void *bytes, size_t length) {
  char *text = sw_keep(malloc(length + 1));
  if (length > 0) memcpy(text, bytes, length);
  text[length] = 0;
  return text;
}

// Text as `printf` makes it, until the call ends.
__attribute__((format(printf, 1, 2))) SW_INLINE char *sw_format(const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  char *text = sw_keep(malloc((size_t)length + 1));
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  va_end(arguments);
  return text;
}

// Draws: a key is a point in a tree of names, so adding or skipping one draw shifts no other.

typedef struct { uint64_t bits; } sw_key;
// A portable generator (SplitMix64) for draws that come in a row.
typedef struct { uint64_t state; } sw_rng;

#define SW_GOLDEN 0x9e3779b97f4a7c15ull

SW_INLINE uint64_t sw_finalise(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

SW_INLINE uint64_t sw_mix(uint64_t bits) { return sw_finalise(bits + SW_GOLDEN); }

// The root for one seed.
SW_INLINE sw_key sw_key_of_seed(uint64_t seed) { return (sw_key){sw_mix(seed)}; }
// The root of a call's named draws: `sw_unit(sw_named(sw_call_key(call), "length"))` is not shifted by other draws.
SW_INLINE sw_key sw_call_key(const sw_call *call) { return sw_key_of_seed(call->seed); }
// The child with number `part`: an index, an identity, an hour.
SW_INLINE sw_key sw_with(sw_key key, uint64_t part) {
  return (sw_key){sw_mix(((key.bits << 23) | (key.bits >> 41)) ^ sw_mix(part))};
}
// The child called `name`: FNV-1a of its bytes.
SW_INLINE sw_key sw_named(sw_key key, const char *name) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 0x100000001b3ull;
  return sw_with(key, hash);
}
SW_INLINE double sw_unit_of(uint64_t bits) { return (double)(bits >> 11) * (1.0 / 9007199254740992.0); }
// The draw at this point as a number in [0, 1).
SW_INLINE double sw_unit(sw_key key) { return sw_unit_of(key.bits); }
// True with this probability, from 0 to 1.
SW_INLINE bool sw_chance(sw_key key, double probability) { return sw_unit(key) < probability; }

// A generator that starts at this point; `sw_rng_of(sw_call_key(call))` for the call's.
SW_INLINE sw_rng sw_rng_of(sw_key key) { return (sw_rng){key.bits}; }
// The next 64 uniform bits.
SW_INLINE uint64_t sw_next(sw_rng *rng) { return sw_finalise(rng->state += SW_GOLDEN); }
// The next number in [0, 1).
SW_INLINE double sw_next_unit(sw_rng *rng) { return sw_unit_of(sw_next(rng)); }
// A whole number below `bound`; 0 if `bound` is 0.
SW_INLINE uint32_t sw_below(sw_rng *rng, uint32_t bound) { return (uint32_t)(((sw_next(rng) >> 32) * bound) >> 32); }
// A number from `low` up to `high`.
SW_INLINE double sw_between(sw_rng *rng, double low, double high) { return low + (high - low) * sw_next_unit(rng); }

// The request in hand.

SW_INLINE bool sw_is_retry(const sw_call *call) {
  return call->attempt > 0 || (call->traits & SIMWRIGHT_PLUGIN_TYPES_TRAITS_RETRY) != 0;
}
SW_INLINE bool sw_is_streaming(const sw_call *call) { return (call->traits & SIMWRIGHT_PLUGIN_TYPES_TRAITS_STREAMING) != 0; }
SW_INLINE bool sw_has_tools(const sw_call *call) { return (call->traits & SIMWRIGHT_PLUGIN_TYPES_TRAITS_TOOLS) != 0; }
SW_INLINE bool sw_wants_json(const sw_call *call) { return (call->traits & SIMWRIGHT_PLUGIN_TYPES_TRAITS_JSON) != 0; }

// The body as the client sent it, with a zero behind it; its length without that, unless `length` is NULL.
SW_INLINE char *sw_body(size_t *length) {
  component_list_u8_t bytes;
  simwright_plugin_request_body(&bytes);
  char *body = sw_taken(bytes.ptr, bytes.len);
  if (length != NULL) *length = bytes.len;
  component_list_u8_free(&bytes);
  return body;
}

// A header by its lower-case name, or NULL. Credentials are never shown.
SW_INLINE char *sw_header(const char *name) {
  component_string_t asked = sw_borrow(name), found;
  if (!simwright_plugin_request_header(&asked, &found)) return NULL;
  char *text = sw_taken(found.ptr, found.len);
  component_string_free(&found);
  return text;
}

// A fact by name (`model`, `tools`, `system`, `tool-result`), or NULL.
SW_INLINE char *sw_attribute(const char *name) {
  component_string_t asked = sw_borrow(name), found;
  if (!simwright_plugin_request_attribute(&asked, &found)) return NULL;
  char *text = sw_taken(found.ptr, found.len);
  component_string_free(&found);
  return text;
}

// The text of the newest user message; empty if there is none.
SW_INLINE char *sw_last_user_text(void) {
  component_string_t found;
  simwright_plugin_request_last_user_text(&found);
  char *text = sw_taken(found.ptr, found.len);
  component_string_free(&found);
  return text;
}

// State that lives in the host: shared by all instances, kept across reloads, the same on both clocks. A lifetime of 0 is without end.

SW_INLINE uint32_t sw_lifetime_ms(sw_us lifetime) { return lifetime < 1000 ? 1 : sw_u32(lifetime / 1000); }

// Adds to a counter that begins at 0; gives its new value.
SW_INLINE int64_t sw_state_add(const char *key, int64_t delta, sw_us lifetime) {
  component_string_t name = sw_borrow(key);
  uint32_t ttl = sw_lifetime_ms(lifetime);
  return simwright_plugin_state_add(&name, delta, lifetime == 0 ? NULL : &ttl);
}

// The bytes kept under `key` with a zero behind them, or NULL. Counters have keys of their own.
SW_INLINE char *sw_state_get(const char *key, size_t *length) {
  component_string_t name = sw_borrow(key);
  component_list_u8_t bytes;
  if (!simwright_plugin_state_get(&name, &bytes)) return NULL;
  char *value = sw_taken(bytes.ptr, bytes.len);
  if (length != NULL) *length = bytes.len;
  component_list_u8_free(&bytes);
  return value;
}

// Keeps bytes under `key`.
SW_INLINE void sw_state_set(const char *key, const void *value, size_t length, sw_us lifetime) {
  component_string_t name = sw_borrow(key);
  component_list_u8_t bytes = {(uint8_t *)value, length};
  uint32_t ttl = sw_lifetime_ms(lifetime);
  simwright_plugin_state_set(&name, &bytes, lifetime == 0 ? NULL : &ttl);
}

#define SW_DEBUG SIMWRIGHT_PLUGIN_LOG_LEVEL_DEBUG
#define SW_INFO SIMWRIGHT_PLUGIN_LOG_LEVEL_INFO
#define SW_WARN SIMWRIGHT_PLUGIN_LOG_LEVEL_WARN
#define SW_ERROR SIMWRIGHT_PLUGIN_LOG_LEVEL_ERROR

// A line in the host's log: `sw_log(SW_INFO, sw_format("%d retries", n))`. `printf` goes to the log, too, as info, and standard error as warn.
SW_INLINE void sw_log(simwright_plugin_log_level_t level, const char *message) {
  component_string_t line = sw_borrow(message);
  simwright_plugin_log_write(level, &line);
}

// Adds to a counter of the plugin's own in the host's metrics.
SW_INLINE void sw_count(const char *metric, uint64_t by) {
  component_string_t name = sw_borrow(metric);
  simwright_plugin_log_count(&name, by);
}

// Options.

typedef enum { SW_DURATION, SW_SHARE, SW_WHOLE, SW_NUMBER, SW_TEXT, SW_FLAG } sw_kind;

// One option. `value` points to an `sw_us` (duration), a `double` (share, number), a `uint32_t` (whole), a `const char *` (text) or a
// `bool` (flag). Default and bounds are written as in scenarios; bounds may be NULL. Durations: `350ms`. Shares: `5%`.
typedef struct {
  const char *name;
  sw_kind kind;
  void *value;
  const char *initial;
  const char *about;
  const char *low;
  const char *high;
} sw_option;

// A mistake in the options that only your code can see.
typedef struct {
  const char *path;
  const char *message;
  const char *hint;
} sw_problem;

// Texts are collected here while a schema or a message is written.
typedef struct { char *text; size_t length, room; } sw_buffer;

SW_INLINE void sw_put_n(sw_buffer *buffer, const char *text, size_t length) {
  if (buffer->length + length + 1 > buffer->room) {
    buffer->room = 2 * (buffer->length + length + 1);
    buffer->text = realloc(buffer->text, buffer->room);
    if (buffer->text == NULL) abort();
  }
  memcpy(buffer->text + buffer->length, text, length);
  buffer->length += length;
  buffer->text[buffer->length] = 0;
}

SW_INLINE void sw_put(sw_buffer *buffer, const char *text) { sw_put_n(buffer, text, strlen(text)); }

// A text as JSON, in quotes.
SW_INLINE void sw_put_json(sw_buffer *buffer, const char *text) {
  sw_put(buffer, "\"");
  for (; *text; text++) {
    char escaped[8];
    if (*text == '"' || *text == '\\') snprintf(escaped, sizeof escaped, "\\%c", *text);
    else if ((uint8_t)*text < 0x20) snprintf(escaped, sizeof escaped, "\\u%04x", *text);
    else snprintf(escaped, sizeof escaped, "%c", *text);
    sw_put(buffer, escaped);
  }
  sw_put(buffer, "\"");
}

// Splits `350ms` into 350 and `ms`; gives a mistake or NULL.
SW_INLINE const char *sw_split(const char *text, double *number, const char **unit, const char *what, const char *example) {
  // Only these: `strtod` alone would take `nan`, `0x10` and `1e3`, which are no quantities anywhere else.
  char digits[64], *end;
  size_t length = 0;
  while (*text == ' ') text++;
  const char *at = text;
  for (; *at != 0 && strchr("0123456789.+-_", *at) != NULL; at++) {
    if (*at != '_' && length < sizeof digits - 1) digits[length++] = *at;
  }
  digits[length] = 0;
  *number = strtod(digits, &end);
  if (end == digits || *end != 0 || length == sizeof digits - 1) {
    return sw_format("`%s` is not %s; write for example %s", text, what, example);
  }
  if (*number < 0) return sw_format("`%s` is negative", text);
  while (*at == ' ') at++;
  *unit = at;
  return NULL;
}

// Microseconds of a duration as scenarios write it; gives a mistake or NULL.
SW_INLINE const char *sw_parse_duration(const char *text, sw_us *found) {
  static const struct { const char *unit; double us; } UNITS[] = {
      {"us", 1}, {"\xc2\xb5s", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"min", 60e6}, {"h", 3600e6}};
  double number;
  const char *unit, *wrong = sw_split(text, &number, &unit, "a duration", "`350ms` or `1.5s`");
  if (wrong != NULL) return wrong;
  if (*unit == 0 && number == 0) return *found = 0, NULL;
  if (*unit == 0) return sw_format("`%s` has no unit; write for example `%sms`", text, text);
  for (size_t at = 0; at < sizeof UNITS / sizeof *UNITS; at++) {
    if (strcmp(unit, UNITS[at].unit) != 0) continue;
    if (number * UNITS[at].us > 366.0 * 24 * 3600e6) return sw_format("`%s` is longer than a year", text);
    return *found = (sw_us)(number * UNITS[at].us + 0.5), NULL;
  }
  return sw_format("`%s` is no unit of time; use us, ms, s, m or h", unit);
}

// A share as scenarios write it, as a number from 0 to 1; gives a mistake or NULL.
SW_INLINE const char *sw_parse_share(const char *text, double *found) {
  double number;
  const char *unit, *wrong = sw_split(text, &number, &unit, "a share", "`5%` or `0.05`");
  if (wrong != NULL) return wrong;
  if (*unit != 0 && strcmp(unit, "%") != 0) return sw_format("`%s` is no unit of a share; use %% or none", unit);
  *found = *unit ? number / 100 : number;
  return *found > 1 ? sw_format("`%s` is more than 100%%", text) : NULL;
}

// The number that stands for `text` in comparisons of this kind.
SW_INLINE const char *sw_measure(sw_kind kind, const char *text, double *found) {
  sw_us us = 0;
  if (kind == SW_DURATION) {
    const char *wrong = sw_parse_duration(text, &us);
    return *found = (double)us, wrong;
  }
  return kind == SW_SHARE ? sw_parse_share(text, found) : (*found = strtod(text, NULL), NULL);
}

// Sets an option from what a person wrote, without the quotes of JSON; gives a mistake or NULL.
SW_INLINE const char *sw_set(const sw_option *option, const char *written) {
  double number = 0, low = 0, high = 0;
  if (option->kind == SW_TEXT) {
    *(const char **)option->value = strdup(written);
    return NULL;
  }
  if (option->kind == SW_FLAG) {
    *(bool *)option->value = strcmp(written, "true") == 0;
    return NULL;
  }
  const char *wrong = sw_measure(option->kind, written, &number);
  if (wrong != NULL) return wrong;
  if (option->low != NULL && option->high != NULL) {
    sw_measure(option->kind, option->low, &low);
    sw_measure(option->kind, option->high, &high);
    if (number < low || number > high) return sw_format("expected %s to %s, found `%s`", option->low, option->high, written);
  }
  if (option->kind == SW_DURATION) *(sw_us *)option->value = (sw_us)number;
  else if (option->kind == SW_WHOLE) *(uint32_t *)option->value = (uint32_t)number;
  else *(double *)option->value = number;
  return NULL;
}

// The JSON Schema of the options.
SW_INLINE char *sw_schema(const sw_option *options, size_t count) {
  static const char *const TYPES[] = {
      "\"type\":[\"string\",\"number\"],\"examples\":[\"350ms\",\"1.5s\",\"2m\"]", "\"type\":[\"string\",\"number\"],\"examples\":[\"5%\"]",
      "\"type\":\"integer\"", "\"type\":\"number\"", "\"type\":\"string\"", "\"type\":\"boolean\""};
  sw_buffer out = {0};
  sw_put(&out, "{\"type\":\"object\",\"properties\":{");
  for (const sw_option *option = options; option < options + count; option++) {
    bool quoted = option->kind == SW_DURATION || option->kind == SW_SHARE || option->kind == SW_TEXT;
    bool bounded = option->low != NULL && option->high != NULL;
    if (option > options) sw_put(&out, ",");
    sw_put_json(&out, option->name);
    sw_put(&out, ":{");
    sw_put(&out, TYPES[option->kind]);
    sw_put(&out, ",\"description\":");
    sw_put_json(&out, bounded && quoted ? sw_format("%s From %s to %s.", option->about, option->low, option->high) : option->about);
    sw_put(&out, ",\"default\":");
    quoted ? sw_put_json(&out, option->initial) : sw_put(&out, option->initial);
    if (bounded && !quoted) sw_put(&out, sw_format(",\"minimum\":%s,\"maximum\":%s", option->low, option->high));
    sw_put(&out, "}");
  }
  sw_put(&out, "},\"additionalProperties\":false}");
  return sw_keep(out.text);
}

// Reads four hexadecimal digits.
SW_INLINE uint32_t sw_hex4(const char *at) {
  char digits[5] = {at[0], at[1], at[2], at[3], 0};
  return (uint32_t)strtoul(digits, NULL, 16);
}

// Reads a JSON value that is no list and no map, without its quotes. The host has checked that the text is JSON.
SW_INLINE const char *sw_read_json(const char *at, sw_buffer *out) {
  if (*at != '"') {
    size_t length = strcspn(at, ",} \t\r\n");
    sw_put_n(out, at, length);
    return at + length;
  }
  sw_put(out, "");
  for (at++; *at && *at != '"'; at++) {
    if (*at != '\\') { sw_put_n(out, at, 1); continue; }
    static const char FROM[] = "bfnrt", TO[] = "\b\f\n\r\t";
    const char *known = strchr(FROM, *++at);
    if (*at == 'u') {
      uint32_t point = sw_hex4(at + 1);
      at += 4;
      if (point >= 0xd800 && point < 0xdc00 && at[1] == '\\' && at[2] == 'u') {
        point = 0x10000 + ((point - 0xd800) << 10) + (sw_hex4(at + 3) - 0xdc00);
        at += 6;
      }
      char bytes[4];
      size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      static const uint8_t LEAD[] = {0, 0, 0xc0, 0xe0, 0xf0};
      for (size_t index = length; index-- > 0; point >>= 6) {
        bytes[index] = (char)(index == 0 ? (LEAD[length] | point) : (0x80 | (point & 0x3f)));
      }
      sw_put_n(out, bytes, length);
    } else {
      sw_put_n(out, known != NULL ? TO + (known - FROM) : at, 1);
    }
  }
  return *at ? at + 1 : at;
}

SW_INLINE const char *sw_skip(const char *at) { return at + strspn(at, " \t\r\n,:{"); }

// A number of JSON without an exponent, which is no part of how people write quantities.
SW_INLINE const char *sw_plain(const char *number) {
  return strpbrk(number, "eE") == NULL ? number : sw_format("%.20f", strtod(number, NULL));
}

// Sets all options: their defaults first, then what the scenario says. Gives the number of mistakes, at most `room`.
SW_INLINE size_t sw_read_options(const char *json, const sw_option *options, size_t count, sw_problem *problems, size_t room) {
  size_t wrong = 0;
  for (size_t index = 0; index < count; index++) {
    if (sw_set(&options[index], options[index].initial) != NULL) abort();
  }
  for (const char *at = sw_skip(json); *at == '"' && wrong < room; at = sw_skip(at)) {
    sw_buffer name = {0}, value = {0};
    at = sw_skip(sw_read_json(at, &name));
    bool is_number = *at == '-' || (*at >= '0' && *at <= '9');
    at = sw_read_json(at, &value);
    const sw_option *option = NULL;
    for (size_t index = 0; index < count; index++) {
      if (strcmp(options[index].name, name.text) == 0) option = &options[index];
    }
    const char *message = option == NULL ? sw_format("unknown field `%s`", name.text)
                          : strcmp(value.text, "null") == 0 && option->kind != SW_TEXT ? NULL : sw_set(option, is_number ? sw_plain(value.text) : value.text);
    if (message != NULL) problems[wrong++] = (sw_problem){sw_format("/%s", name.text), message, NULL};
    free(name.text);
    free(value.text);
  }
  return wrong;
}

// What the plugin is and how an instance is set up. Options are an array of `sw_option`.
typedef exports_simwright_plugin_lifecycle_setting_t sw_setting;

SW_INLINE void sw_describe(exports_simwright_plugin_lifecycle_about_t *about, const char *name, const char *version, const char *summary,
                           const sw_option *options, size_t count) {
  about->name = sw_copy(name);
  about->version = sw_copy(version);
  about->summary = sw_copy(summary);
  about->options_schema = sw_copy(sw_schema(options, count));
  sw_end_call();
}

#define SW_PROBLEMS 16

SW_INLINE bool sw_configure(component_string_t *json, sw_setting *setting, exports_simwright_plugin_lifecycle_list_problem_t *wrong,
                            const sw_option *options, size_t count, size_t (*configured)(const sw_setting *, sw_problem *)) {
  sw_problem problems[SW_PROBLEMS];
  size_t found = sw_read_options(sw_taken(json->ptr, json->len), options, count, problems, SW_PROBLEMS);
  if (found == 0 && configured != NULL) found = configured(setting, problems);
  if (found > 0) {
    wrong->ptr = malloc(found * sizeof *wrong->ptr);
    wrong->len = found;
    for (size_t index = 0; index < found; index++) {
      wrong->ptr[index].path = sw_copy(problems[index].path);
      wrong->ptr[index].message = sw_copy(problems[index].message);
      wrong->ptr[index].hint.is_some = problems[index].hint != NULL;
      if (problems[index].hint != NULL) wrong->ptr[index].hint.val = sw_copy(problems[index].hint);
    }
  }
  component_string_free(json);
  exports_simwright_plugin_lifecycle_setting_free(setting);
  sw_end_call();
  return found == 0;
}

// Declares the plugin. `SW_PLUGIN_WITH` calls `configured(setting, problems)` once the options are read: work out there what no call changes;
// it gives the number of mistakes that it wrote to `problems`, at most SW_PROBLEMS.
#define SW_PLUGIN_WITH(name, version, summary, options, configured)                                                                  \
  void exports_simwright_plugin_lifecycle_describe(exports_simwright_plugin_lifecycle_about_t *about) {                             \
    sw_describe(about, name, version, summary, options, sizeof(options) / sizeof *(options));                                        \
  }                                                                                                                                  \
  bool exports_simwright_plugin_lifecycle_configure(component_string_t *json, sw_setting *setting,                                   \
                                                    exports_simwright_plugin_lifecycle_list_problem_t *wrong) {                     \
    return sw_configure(json, setting, wrong, options, sizeof(options) / sizeof *(options), configured);                             \
  }
#define SW_PLUGIN(name, version, summary, options) SW_PLUGIN_WITH(name, version, summary, options, NULL)

#ifdef SIMWRIGHT_FAULT
// What becomes of a request.
typedef exports_simwright_plugin_fault_verdict_t sw_verdict;
// Where in the reply something happens.
typedef exports_simwright_plugin_fault_position_t sw_position;

#define SW_CUT_RESET EXPORTS_SIMWRIGHT_PLUGIN_FAULT_CUT_RESET
#define SW_CUT_CLOSE EXPORTS_SIMWRIGHT_PLUGIN_FAULT_CUT_CLOSE
#define SW_CUT_END EXPORTS_SIMWRIGHT_PLUGIN_FAULT_CUT_END
#define SW_DAMAGE(what) EXPORTS_SIMWRIGHT_PLUGIN_FAULT_DAMAGE_##what

SW_INLINE sw_position sw_at_start(void) { return (sw_position){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_POSITION_START}; }
SW_INLINE sw_position sw_at_token(uint32_t token) {
  return (sw_position){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_POSITION_TOKEN, .val = {.token = token}};
}
SW_INLINE sw_position sw_at_share(float share) {
  return (sw_position){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_POSITION_SHARE, .val = {.share = share}};
}
SW_INLINE sw_position sw_after(sw_us time) {
  return (sw_position){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_POSITION_AFTER_MS, .val = {.after_ms = sw_u32(time / 1000)}};
}

// Answer it.
SW_INLINE sw_verdict sw_pass(void) { return (sw_verdict){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_VERDICT_PASS}; }
// Refuse with this status, from 400 to 599. NULL is what the vendor says for it.
SW_INLINE sw_verdict sw_http(uint16_t status, const char *message, const char *code) {
  sw_verdict verdict = {.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_VERDICT_ERROR};
  verdict.val.error.status = status;
  if (message != NULL) verdict.val.error.message = (component_option_string_t){true, sw_copy(message)};
  if (code != NULL) verdict.val.error.code = (component_option_string_t){true, sw_copy(code)};
  return verdict;
}
// The same; come back after `wait`.
SW_INLINE sw_verdict sw_retry_after(sw_verdict verdict, sw_us wait) {
  verdict.val.error.retry_after_ms = (component_option_u32_t){true, sw_u32(wait / 1000)};
  return verdict;
}
// Refuse with 429; come back after `wait`.
SW_INLINE sw_verdict sw_rate_limited(sw_us wait) { return sw_retry_after(sw_http(429, NULL, NULL), wait); }
// Refuse with 503; come back after `wait`.
SW_INLINE sw_verdict sw_overloaded(sw_us wait) { return sw_retry_after(sw_http(503, NULL, NULL), wait); }
// Send nothing for so long, then close.
SW_INLINE sw_verdict sw_hang(sw_us time) {
  return (sw_verdict){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_VERDICT_HANG_MS, .val = {.hang_ms = sw_u32(time / 1000)}};
}
// End the connection or stream at a place in the reply: SW_CUT_RESET, SW_CUT_CLOSE, SW_CUT_END.
SW_INLINE sw_verdict sw_cut(uint8_t how, sw_position at) {
  return (sw_verdict){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_VERDICT_CUT, .val = {.cut = {how, at}}};
}
// Send nothing for so long at a place, then go on.
SW_INLINE sw_verdict sw_stall(sw_us time, sw_position at) {
  return (sw_verdict){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_VERDICT_STALL_MS, .val = {.stall_ms = {sw_u32(time / 1000), at}}};
}
// Send the vendor's error event at a place in a stream, then end.
SW_INLINE sw_verdict sw_error_event(const char *message, sw_position at) {
  return (sw_verdict){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_VERDICT_ERROR_EVENT, .val = {.error_event = {sw_copy(message), at}}};
}
// Spoil the bytes at a place in the reply: `SW_DAMAGE(TRUNCATED_JSON)`.
SW_INLINE sw_verdict sw_damage(uint8_t how, sw_position at) {
  return (sw_verdict){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_VERDICT_DAMAGE, .val = {.damage = {how, at}}};
}
// Send no more than so many bytes a second.
SW_INLINE sw_verdict sw_drip(uint32_t bytes_per_s) {
  return (sw_verdict){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_VERDICT_DRIP_BYTES_PER_S, .val = {.drip_bytes_per_s = bytes_per_s}};
}
// A kind that the contract has no case for, with its parameters as JSON.
SW_INLINE sw_verdict sw_other_verdict(const char *kind, const char *json) {
  return (sw_verdict){.tag = EXPORTS_SIMWRIGHT_PLUGIN_FAULT_VERDICT_OTHER, .val = {.other = {sw_copy(kind), sw_copy(json)}}};
}

SW_INLINE sw_verdict sw_finish_early(const char *reason, sw_position at, const char *message) {
  char place[64] = "start";
  if (at.tag == EXPORTS_SIMWRIGHT_PLUGIN_FAULT_POSITION_TOKEN) snprintf(place, sizeof place, "token %u", (unsigned)at.val.token);
  if (at.tag == EXPORTS_SIMWRIGHT_PLUGIN_FAULT_POSITION_SHARE) snprintf(place, sizeof place, "%.17g%%", (double)at.val.share * 100);
  if (at.tag == EXPORTS_SIMWRIGHT_PLUGIN_FAULT_POSITION_AFTER_MS) snprintf(place, sizeof place, "%ums", (unsigned)at.val.after_ms);
  sw_buffer json = {0};
  sw_put(&json, "{\"reason\":");
  sw_put_json(&json, reason);
  sw_put(&json, ",\"at\":");
  sw_put_json(&json, place);
  if (message != NULL) sw_put(&json, ",\"message\":"), sw_put_json(&json, message);
  sw_put(&json, "}");
  return sw_other_verdict("finish", sw_keep(json.text));
}
// Let the vendor end the reply at a place as if it had reached the token limit.
SW_INLINE sw_verdict sw_length(sw_position at) { return sw_finish_early("length", at, NULL); }
// Let the vendor's content filter end the reply at a place.
SW_INLINE sw_verdict sw_content_filter(sw_position at) { return sw_finish_early("content-filter", at, NULL); }
// Let the model refuse to go on at a place, in these words.
SW_INLINE sw_verdict sw_refuse(const char *message, sw_position at) { return sw_finish_early("refusal", at, message); }

// Exports `sw_verdict function(const sw_call *call)`.
#define SW_FAULT(function)                                                                                    \
  void exports_simwright_plugin_fault_decide(exports_simwright_plugin_fault_call_t *call, sw_verdict *ret) { \
    *ret = function(call);                                                                                    \
    sw_end_call();                                                                                            \
  }
#endif

#ifdef SIMWRIGHT_RESPONDER
// What is answered, and a part of it.
typedef exports_simwright_plugin_responder_answer_t sw_answer;
typedef exports_simwright_plugin_responder_item_t sw_item;
typedef exports_simwright_plugin_responder_list_answer_t sw_answers;

#define SW_STOP EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_FINISH_STOP
#define SW_FINISH_LENGTH EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_FINISH_LENGTH
#define SW_TOOL_CALLS EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_FINISH_TOOL_CALLS
#define SW_CONTENT_FILTER EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_FINISH_CONTENT_FILTER

// So many tokens of text for the host to write, in a style it knows; an empty style is the default.
SW_INLINE sw_item sw_generate(uint32_t tokens, const char *style) {
  return (sw_item){.tag = EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_ITEM_GENERATE, .val = {.generate = {tokens, sw_copy(style)}}};
}
// The same as reasoning that comes before the answer.
SW_INLINE sw_item sw_think(uint32_t tokens, const char *style) {
  return (sw_item){.tag = EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_ITEM_THINK, .val = {.think = {tokens, sw_copy(style)}}};
}
// This text.
SW_INLINE sw_item sw_text(const char *text) {
  return (sw_item){.tag = EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_ITEM_TEXT, .val = {.text = sw_copy(text)}};
}
SW_INLINE sw_item sw_reasoning(const char *text) {
  return (sw_item){.tag = EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_ITEM_REASONING, .val = {.reasoning = sw_copy(text)}};
}
// A tool call. With NULL the host writes arguments that satisfy the tool's schema.
SW_INLINE sw_item sw_tool_call(const char *name, const char *arguments_json) {
  sw_item item = {.tag = EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_ITEM_TOOL_CALL};
  item.val.tool_call.name = sw_copy(name);
  if (arguments_json != NULL) item.val.tool_call.arguments_json = (component_option_string_t){true, sw_copy(arguments_json)};
  return item;
}
// JSON in the form that the request asks for, written by the host.
SW_INLINE sw_item sw_structured(void) { return (sw_item){.tag = EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_ITEM_STRUCTURED}; }
SW_INLINE sw_item sw_refusal(const char *text) {
  return (sw_item){.tag = EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_ITEM_REFUSAL, .val = {.refusal = sw_copy(text)}};
}
SW_INLINE sw_item sw_other_item(const char *kind, const char *json) {
  return (sw_item){.tag = EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_ITEM_OTHER, .val = {.other = {sw_copy(kind), sw_copy(json)}}};
}

// An answer of so many parts, in order.
SW_INLINE sw_answer sw_answer_of(const sw_item *items, size_t count, uint8_t finish) {
  sw_answer answer = {.items = {malloc((count + 1) * sizeof *items), count}, .finish = finish};
  if (answer.items.ptr == NULL) abort();
  memcpy(answer.items.ptr, items, count * sizeof *items);
  return answer;
}
// An answer of one part.
SW_INLINE sw_answer sw_only(sw_item item) {
  return sw_answer_of(&item, 1, item.tag == EXPORTS_SIMWRIGHT_PLUGIN_RESPONDER_ITEM_TOOL_CALL ? SW_TOOL_CALLS : SW_STOP);
}

// Exports `sw_answer function(const sw_call *call)`: one answer for all choices.
#define SW_RESPONDER(function)                                                                                               \
  void exports_simwright_plugin_responder_respond(exports_simwright_plugin_responder_call_t *call, uint32_t choices,         \
                                                  sw_answers *ret) {                                                         \
    (void)choices;                                                                                                           \
    ret->ptr = malloc(sizeof *ret->ptr);                                                                                     \
    if (ret->ptr == NULL) abort();                                                                                           \
    ret->ptr[0] = function(call);                                                                                            \
    ret->len = 1;                                                                                                            \
    sw_end_call();                                                                                                           \
  }
#endif

#ifdef SIMWRIGHT_LATENCY
// When the tokens of a reply leave, and how long something takes.
typedef exports_simwright_plugin_latency_schedule_t sw_schedule;
typedef exports_simwright_plugin_latency_delay_t sw_delay;

// A fixed duration.
SW_INLINE sw_delay sw_fixed(sw_us time) { return (sw_delay){.tag = EXPORTS_SIMWRIGHT_PLUGIN_LATENCY_DELAY_US, .val = {.us = sw_u32(time)}}; }
// Uniform between two bounds.
SW_INLINE sw_delay sw_uniform(sw_us low, sw_us high) {
  return (sw_delay){.tag = EXPORTS_SIMWRIGHT_PLUGIN_LATENCY_DELAY_UNIFORM, .val = {.uniform = {sw_u32(low), sw_u32(high)}}};
}
// Log-normal by its median and 99th percentile; never longer than `at_most` unless that is 0.
SW_INLINE sw_delay sw_log_normal(sw_us p50, sw_us p99, sw_us at_most) {
  return (sw_delay){.tag = EXPORTS_SIMWRIGHT_PLUGIN_LATENCY_DELAY_LOG_NORMAL, .val = {.log_normal = {sw_u32(p50), sw_u32(p99), sw_u32(at_most)}}};
}
// One duration after the other; the last one repeats.
SW_INLINE sw_delay sw_each(const sw_us *durations, size_t count) {
  sw_delay delay = {.tag = EXPORTS_SIMWRIGHT_PLUGIN_LATENCY_DELAY_EACH_US, .val = {.each_us = {malloc((count + 1) * sizeof(uint32_t)), count}}};
  if (delay.val.each_us.ptr == NULL) abort();
  for (size_t index = 0; index < count; index++) delay.val.each_us.ptr[index] = sw_u32(durations[index]);
  return delay;
}
// A law by the name that scenarios give it: `sw_law("gamma", "{\"mean\":\"18ms\",\"shape\":3}")`.
SW_INLINE sw_delay sw_law(const char *name, const char *json) {
  return (sw_delay){.tag = EXPORTS_SIMWRIGHT_PLUGIN_LATENCY_DELAY_OTHER, .val = {.other = {sw_copy(name), sw_copy(json)}}};
}

// `first` until the first token, then `between` from each token to the next.
SW_INLINE sw_schedule sw_schedule_of(sw_delay first, sw_delay between) { return (sw_schedule){.first = first, .between = between}; }
// The same with an extra pause after a token, counted from 1. Pauses are given in the order of their tokens.
SW_INLINE sw_schedule sw_pause(sw_schedule schedule, uint32_t after_token, sw_us length) {
  schedule.pauses.ptr = realloc(schedule.pauses.ptr, (schedule.pauses.len + 1) * sizeof *schedule.pauses.ptr);
  if (schedule.pauses.ptr == NULL) abort();
  schedule.pauses.ptr[schedule.pauses.len++] = (exports_simwright_plugin_latency_pause_t){after_token, sw_u32(length)};
  return schedule;
}

// Exports `sw_schedule function(const sw_call *call, uint32_t output_tokens)`.
#define SW_LATENCY(function)                                                                                            \
  void exports_simwright_plugin_latency_plan(exports_simwright_plugin_latency_call_t *call, uint32_t output_tokens,     \
                                             sw_schedule *ret) {                                                        \
    *ret = function(call, output_tokens);                                                                               \
    sw_end_call();                                                                                                      \
  }
#endif

#endif
