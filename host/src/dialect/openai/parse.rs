//! Temporary.
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use crate::types::api_error::ApiError;
use crate::types::request::*;
pub(super) fn chat(body: Bytes, headers: HeaderMap) -> Result<Request, ApiError> {
    let v: Value = serde_json::from_slice(&body).map_err(|e| ApiError::of_status(400, e.to_string()))?;
    let messages = v["messages"].as_array().cloned().unwrap_or_default().iter().map(|m| Message {
        role: match m["role"].as_str() { Some("user") => Role::User, Some("assistant") => Role::Assistant, Some("tool") => Role::Tool, _ => Role::System },
        text: m["content"].as_str().unwrap_or("").into(), attachments: 0, tool_calls: vec![] }).collect();
    let so = &v["stream_options"];
    Ok(Request { operation: Operation::Chat, model: v["model"].as_str().ok_or_else(|| ApiError::invalid("model", "model"))?.into(), messages, tools: vec![], tool_choice: ToolChoice::Auto,
        parallel_tool_calls: true, format: Format::Text, choices: v["n"].as_u64().unwrap_or(1) as u32, max_output_tokens: v["max_tokens"].as_u64().map(|n| n as u32), stop: vec![], logprobs: None,
        stream: (v["stream"] == true).then(|| StreamOptions { include_usage: so["include_usage"] == true, obfuscation: false }), body, headers })
}
