//! A request for completions, from the body's bytes to the neutral [`Request`].

use std::borrow::Cow;

use super::{Options, Shown};
use crate::dialect::Inbound;
use crate::dialect::json::given::{Given, object};
use crate::dialect::json::path::{Path, read as read_json};
use crate::dialect::openai::prompts::{Prompt, Prompts};
use crate::dialect::openai::sampling::{Stop, StreamOptions};
use crate::dialect::openai::vocabulary::Vocabulary;
use crate::dialect::openai::{sampling, words};
use crate::types::api_error::ApiError;
use crate::types::limits::CHOICES_MAX;
use crate::types::manners::Padding;
use crate::types::request::{Message, Operation, Request, Role};

/// Tokens of a completion unless the client says otherwise, as documented.
const OUTPUT_TOKENS_USUAL: u32 = 16;
/// The most that `best_of` and `logprobs` may be, as documented.
const BEST_OF_MAX: i64 = 20;
const LOGPROBS_MAX: i64 = 5;

object! {
    /// The body.
    Body<'de> {
        model "model": Given<Cow<'de, str>>,
        prompt "prompt": Given<Prompts<'de>>,
        suffix "suffix": Given<Cow<'de, str>>,
        max_tokens "max_tokens": Given<i64>,
        n "n": Given<i64>,
        best_of "best_of": Given<i64>,
        echo "echo": Given<bool>,
        logprobs "logprobs": Given<i64>,
        stop "stop": Given<Stop<'de>>,
        stream "stream": Given<bool>,
        stream_options "stream_options": Given<StreamOptions>,
        temperature "temperature": Given<f64>,
        top_p "top_p": Given<f64>,
        presence_penalty "presence_penalty": Given<f64>,
        frequency_penalty "frequency_penalty": Given<f64>,
        ignore_eos "ignore_eos": Given<bool>,
        min_tokens "min_tokens": Given<i64>,
        _ "seed" "user" "logit_bias"
    }
}

/// Reads a request for completions, and how they are rendered.
pub(super) fn read(inbound: Inbound<'_>) -> Result<(Request, Options), ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let mut body: Body<'_> = read_json(&inbound.body, root)?;
    if let Some(deployment) = inbound.deployment {
        body.model = Given::Is(deployment.into());
    }
    let (request, options) = convert(body, root, inbound.manners.padding)?;
    let options = Options { is_filtered: inbound.deployment.is_some(), ..options };
    let request = Request { target: inbound.target.into(), body: inbound.body.clone(), headers: inbound.headers, ..request };
    Ok((request, options))
}

fn convert(body: Body<'_>, root: Path<'_>, padding: Padding) -> Result<(Request, Options), ApiError> {
    let model = sampling::model(body.model, root)?;
    // Without a prompt a document begins.
    let prompts = body.prompt.optional(root.field("prompt"))?.unwrap_or_else(Prompts::empty).checked(root.field("prompt"))?;
    let suffix = body.suffix.optional(root.field("suffix"))?.unwrap_or_default();
    sampling::ranges(
        root,
        [
            ("temperature", body.temperature, 0.0, 2.0),
            ("top_p", body.top_p, 0.0, 1.0),
            ("presence_penalty", body.presence_penalty, -2.0, 2.0),
            ("frequency_penalty", body.frequency_penalty, -2.0, 2.0),
        ],
    )?;
    let most = sampling::tokens(body.max_tokens, root.field("max_tokens"), 0)?.unwrap_or(OUTPUT_TOKENS_USUAL);
    let min_output_tokens = sampling::fewest(body.min_tokens, root, Some(most))?;
    let streaming = sampling::stream(body.stream, body.stream_options, root, padding)?;
    let (shown, made) = choices(body.n, body.best_of, prompts.len(), streaming.wanted, root)?;
    let echo = body.echo.optional(root.field("echo"))?.unwrap_or(false);
    let logprobs = sampling::within(body.logprobs, root.field("logprobs"), 0, LOGPROBS_MAX)?.map(|count| count as u8);

    let mut messages: Vec<Message> = prompts.iter().map(Prompt::message).collect();
    if !suffix.is_empty() {
        // It counts and changes what is written; but it is no prompt.
        messages.push(Message::new(Role::System, &*suffix));
    }
    let stop = sampling::stop(body.stop, root.field("stop"))?;
    let ignores_end = body.ignore_eos.optional(root.field("ignore_eos"))?.unwrap_or(false);
    let request = Request {
        operation: Operation::Completion,
        choices: (prompts.len() * made) as u32,
        max_output_tokens: Some(most),
        min_output_tokens,
        ignores_end,
        stop,
        logprobs,
        streams: streaming.wanted,
        shows_usage: !streaming.wanted || streaming.include_usage,
        ..Request::chat(&model, messages)
    };
    let vocabulary = Vocabulary::of(&model);
    let prompts = prompts.into_iter().map(|prompt| shown_of(prompt, vocabulary, echo, logprobs.is_some())).collect();
    Ok((request, Options { shown, made, logprobs, streaming, prompts, echo, is_filtered: false }))
}

/// How many choices are shown of each prompt, and how many are made to take them from.
fn choices(
    n: Given<i64>,
    best_of: Given<i64>,
    prompts: usize,
    streams: bool,
    root: Path<'_>,
) -> Result<(usize, usize), ApiError> {
    let n = sampling::within(n, root.field("n"), 1, i64::from(CHOICES_MAX))?;
    let best_of = sampling::within(best_of, root.field("best_of"), 1, BEST_OF_MAX)?;
    let shown = n.unwrap_or(1);
    let made = best_of.unwrap_or(shown);
    if made < shown {
        return Err(words::too_few_made(shown, made));
    }
    if streams && made > shown {
        return Err(words::only_whole("best_of"));
    }
    if prompts as i64 * made > i64::from(CHOICES_MAX) {
        return Err(words::too_many_completions(prompts as i64 * made, CHOICES_MAX));
    }
    Ok((shown as usize, made as usize))
}

/// What replies show of `prompt`.
fn shown_of(prompt: Prompt<'_>, vocabulary: Vocabulary, echo: bool, logprobs: bool) -> Shown {
    if !echo && !logprobs {
        return Shown { text: Box::default(), characters: 0, tokens: None };
    }
    let (text, ids) = match prompt {
        Prompt::Text(text) => {
            let mut ids = Vec::new();
            if echo && logprobs {
                vocabulary.encode(&text, &mut ids);
            }
            (text, ids)
        }
        Prompt::Tokens(ids) => (Cow::Owned(vocabulary.decode(&ids)), ids),
    };
    let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let tokens = (echo && logprobs).then(|| (vocabulary, ids.into()));
    Shown { text: if echo { text.into() } else { Box::default() }, characters, tokens }
}
