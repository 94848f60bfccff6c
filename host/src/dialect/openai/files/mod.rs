//! Files: what clients upload for batches, and what batches leave.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::ids;
use crate::dialect::bulk::Page;
use crate::dialect::json::id::text_of;
use crate::dialect::json::path::Path;
use crate::dialect::json::splice::{push_each, push_nullable, push_number, push_string};
use crate::dialect::multipart;
use crate::types::api_error::{ApiError, ErrorKind};
use crate::types::limits::FILES_MAX;
use crate::types::mistake::Kind;

/// What a file may be uploaded for.
const PURPOSES: &[&str] = &["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];
/// What batches read.
pub const BATCH: &str = "batch";
/// What batches leave.
pub const BATCH_OUTPUT: &str = "batch_output";
/// How long an input of batches is kept, in seconds: the vendor's thirty days.
const BATCH_INPUT_S: u64 = 30 * 86_400;
/// What a file usually takes as clients see it, in bytes.
const FILE_BYTES: usize = 256;
/// How long a client may have a file kept, in seconds: an hour to thirty days.
const KEPT_S: (i64, i64) = (3_600, 2_592_000);

/// A file as it is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its name.
    pub name: Box<str>,
    /// What it is for.
    pub purpose: Box<str>,
    /// What it holds.
    pub content: Bytes,
    /// How long it is kept, in seconds; for ever if `None`.
    pub kept_s: Option<u64>,
}

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its id.
    pub id: Box<str>,
    /// Counts all files of a run.
    pub number: u64,
    /// What was handed in.
    pub upload: Upload,
    /// When it was, in Unix seconds.
    pub created: u64,
}

impl StoredFile {
    /// When it goes, in Unix seconds.
    pub fn expires(&self) -> Option<u64> {
        Some(self.created + self.upload.kept_s?)
    }
}

/// The id of a file drawn from `draw`.
pub fn file_id(draw: u64) -> String {
    text_of(|out| ids::push_file_id(out, draw))
}

/// Reads an upload.
pub fn upload(headers: &HeaderMap, body: &Bytes) -> Result<Upload, ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let parts = multipart::parts(kind, body)
        .map_err(|reason| ApiError::of_status(400, format!("We could not parse the form of your request: {reason}.")))?;
    let root = Path::root(false);
    let text = |name: &str| {
        let part = parts.iter().find(|part| part.name == name)?;
        Some(String::from_utf8_lossy(&part.content).trim().to_owned())
    };
    let file = parts.iter().find(|part| part.name == "file").ok_or_else(|| root.field("file").missing())?;
    let purpose = text("purpose").ok_or_else(|| root.field("purpose").missing())?;
    if !PURPOSES.contains(&purpose.as_str()) {
        return Err(root.field("purpose").unknown_word(&purpose, PURPOSES).into());
    }
    let name = file.file_name.clone().unwrap_or_else(|| "upload".to_owned());
    if purpose == BATCH && !name.to_ascii_lowercase().ends_with(".jsonl") {
        return Err(ApiError::of_status(400, "Invalid file format for Batch API. Must be .jsonl"));
    }
    let kept_s = match text("expires_after[seconds]") {
        Some(seconds) => {
            let expires = root.field("expires_after");
            let path = expires.field("seconds");
            let seconds = seconds.parse().map_err(|_| path.wrong_kind("an integer", Kind::Text))?;
            Some(path.integer(seconds, KEPT_S.0, KEPT_S.1)?.unsigned_abs())
        }
        None => (purpose == BATCH).then_some(BATCH_INPUT_S),
    };
    // A copy, because a part of the body would keep all of it, whatever else the form has.
    let content = Bytes::copy_from_slice(&file.content);
    Ok(Upload { name: name.into(), purpose: purpose.into(), content, kept_s })
}

/// What a list of files is asked for: which page, and for which purpose.
pub fn page(query: Option<&str>) -> Result<(Page, Option<String>), ApiError> {
    let (page, rest) = page_of(query, FILES_MAX, FILES_MAX)?;
    let purpose = rest.into_iter().find(|(name, _)| name == "purpose").map(|(_, value)| value);
    Ok((page, purpose))
}

/// Names and values of a query.
type Pairs = Vec<(String, String)>;

/// The page that `query` asks for, of at most `most` and usually `usual`, and what else it says.
pub(super) fn page_of(query: Option<&str>, usual: usize, most: usize) -> Result<(Page, Pairs), ApiError> {
    let mut page = Page { limit: usual, after: None, before: None, is_ascending: false };
    let (root, mut others) = (Path::root(false), Vec::new());
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "limit" => {
                let path = root.field("limit");
                let number = value.parse().map_err(|_| path.wrong_kind("an integer", Kind::Text))?;
                page.limit = path.integer(number, 1, most as i64)? as usize;
            }
            "after" if !value.is_empty() => page.after = Some(value.into_owned()),
            "order" if value == "asc" => page.is_ascending = true,
            "order" if value != "desc" => return Err(root.field("order").unknown_word(&value, &["asc", "desc"]).into()),
            _ => others.push((name.into_owned(), value.into_owned())),
        }
    }
    Ok((page, others))
}

/// `file` as clients see it.
pub fn render(file: &StoredFile) -> Bytes {
    let mut out = BytesMut::with_capacity(FILE_BYTES);
    push(&mut out, file);
    out.freeze()
}

/// A page of the list of files.
pub fn render_list(files: &[impl AsRef<StoredFile>], has_more: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(FILE_BYTES * (files.len() + 1));
    out.put_slice(b"{\"object\":\"list\",\"data\":[");
    push_each(&mut out, files.iter(), |out, file| push(out, file.as_ref()));
    out.put_slice(b"],\"first_id\":");
    push_nullable(&mut out, files.first().map(|file| &*file.as_ref().id));
    out.put_slice(b",\"last_id\":");
    push_nullable(&mut out, files.last().map(|file| &*file.as_ref().id));
    out.put_slice(if has_more { &b",\"has_more\":true}"[..] } else { b",\"has_more\":false}" });
    out.freeze()
}

/// The answer to the deletion of the file `id`.
pub fn render_deleted(id: &str) -> Bytes {
    json!({ "id": id, "object": "file", "deleted": true }).to_string().into()
}

/// What is said of a file that is not there.
pub fn absent(id: &str) -> ApiError {
    let id: String = id.chars().take(100).collect();
    let refusal = ApiError::of_status(404, format!("No such File object: {id}"));
    ApiError { kind: ErrorKind::InvalidRequest, param: Some("id".into()), ..refusal }
}

/// A page of `data`, as all of the vendor's lists are.
pub(super) fn list(data: Vec<Value>, has_more: bool) -> Bytes {
    let id = |one: Option<&Value>| one.map(|one| one["id"].clone());
    let (first, last) = (id(data.first()), id(data.last()));
    let page = json!({ "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more });
    page.to_string().into()
}

/// Appends `file` as clients see it.
fn push(out: &mut BytesMut, file: &StoredFile) {
    out.put_slice(b"{\"object\":\"file\",\"id\":");
    push_string(out, &file.id);
    out.put_slice(b",\"purpose\":");
    push_string(out, &file.upload.purpose);
    out.put_slice(b",\"filename\":");
    push_string(out, &file.upload.name);
    out.put_slice(b",\"bytes\":");
    push_number(out, file.upload.content.len() as u64);
    out.put_slice(b",\"created_at\":");
    push_number(out, file.created);
    out.put_slice(b",\"expires_at\":");
    match file.expires() {
        Some(expires) => push_number(out, expires),
        None => out.put_slice(b"null"),
    }
    out.put_slice(b",\"status\":\"processed\",\"status_details\":null}");
}

/// The file that a batch `id` leaves: its answers, or `errors`.
pub fn of_batch(id: &str, is_errors: bool, content: BytesMut, kept_s: Option<u64>) -> Upload {
    let name = format!("{id}_{}.jsonl", if is_errors { "error" } else { "output" });
    Upload { name: name.into(), purpose: BATCH_OUTPUT.into(), content: content.freeze(), kept_s }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::dialect::openai::OpenAi;

    fn form(parts: &[(&str, &str)]) -> Result<Upload, String> {
        let mut body = String::new();
        for (disposition, content) in parts {
            body += &format!("--b\r\nContent-Disposition: form-data; name={disposition}\r\n\r\n{content}\r\n");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("multipart/form-data; boundary=b"));
        upload(&headers, &(body + "--b--\r\n").into()).map_err(|error| refusal(&error))
    }

    fn refusal(error: &ApiError) -> String {
        let reply = OpenAi.render_error(error, 0);
        format!("{} {}", reply.status, std::str::from_utf8(&reply.body).unwrap())
    }

    const FILE: (&str, &str) = ("file; filename=\"in.jsonl\"", "{}\n");

    #[test]
    fn an_upload_is_a_file_and_what_it_is_for() {
        let upload = form(&[("purpose", "batch"), FILE]).unwrap();
        assert_eq!(
            (&*upload.name, &*upload.purpose, &upload.content[..], upload.kept_s),
            ("in.jsonl", "batch", &b"{}\n"[..], Some(2_592_000))
        );
        let upload = form(&[("purpose", "user_data"), ("file", "x")]).unwrap();
        assert_eq!((&*upload.name, upload.kept_s), ("upload", None));
        let kept = [("purpose", "evals"), FILE, ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")];
        assert_eq!(form(&kept).unwrap().kept_s, Some(3_600));
    }

    #[test]
    fn what_is_kept_of_an_upload_is_the_file_and_not_the_body() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("multipart/form-data; boundary=b"));
        let part = |name: &str, content: &str| format!("--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n{content}\r\n");
        let body = part("purpose", "evals") + &part("file", "ab") + &part("other", &"x".repeat(1_000)) + "--b--\r\n";
        let body = Bytes::from(body);
        let upload = upload(&headers, &body).unwrap();
        // Nobody else has the body, so it can be taken back whole.
        assert!(body.try_into_mut().is_ok());
        assert_eq!(&upload.content[..], b"ab");
    }

    #[test]
    fn bad_uploads_are_refused_with_the_field() {
        insta::assert_snapshot!(form(&[("purpose", "batch")]).unwrap_err(), @r#"400 {"error":{"message":"Missing required parameter: 'file'.","type":"invalid_request_error","param":"file","code":"missing_required_parameter"}}"#);
        insta::assert_snapshot!(form(&[FILE]).unwrap_err(), @r#"400 {"error":{"message":"Missing required parameter: 'purpose'.","type":"invalid_request_error","param":"purpose","code":"missing_required_parameter"}}"#);
        insta::assert_snapshot!(form(&[("purpose", "fun"), FILE]).unwrap_err(), @r#"400 {"error":{"message":"Invalid value: 'fun'. Supported values are: 'assistants', 'batch', 'fine-tune', 'vision', 'user_data', and 'evals'.","type":"invalid_request_error","param":"purpose","code":"invalid_value"}}"#);
        insta::assert_snapshot!(form(&[("purpose", "batch"), ("file; filename=a.txt", "")]).unwrap_err(), @r#"400 {"error":{"message":"Invalid file format for Batch API. Must be .jsonl","type":"invalid_request_error","param":null,"code":null}}"#);
        insta::assert_snapshot!(form(&[("purpose", "evals"), FILE, ("expires_after[seconds]", "60")]).unwrap_err(), @r#"400 {"error":{"message":"Invalid 'expires_after.seconds': integer below minimum value. Expected a value >= 3600, but got 60 instead.","type":"invalid_request_error","param":"expires_after.seconds","code":"integer_below_min_value"}}"#);
        insta::assert_snapshot!(upload(&HeaderMap::new(), &Bytes::new()).map_err(|error| refusal(&error)).unwrap_err(), @r#"400 {"error":{"message":"We could not parse the form of your request: the content type is not multipart/form-data.","type":"invalid_request_error","param":null,"code":null}}"#);
        insta::assert_snapshot!(refusal(&absent("file-x")), @r#"404 {"error":{"message":"No such File object: file-x","type":"invalid_request_error","param":"id","code":null}}"#);
    }

    #[test]
    fn files_look_like_the_vendors() {
        let upload =
            Upload { name: "in.jsonl".into(), purpose: BATCH.into(), content: Bytes::from_static(b"{}"), kept_s: Some(60) };
        let file = std::sync::Arc::new(StoredFile { id: file_id(1).into(), number: 1, upload, created: 1_790_000_000 });
        insta::assert_snapshot!(std::str::from_utf8(&render_list(&[file], true)).unwrap(), @r#"{"object":"list","data":[{"object":"file","id":"file-jH1eMWm4uOwpzUvx8MhI6g","purpose":"batch","filename":"in.jsonl","bytes":2,"created_at":1790000000,"expires_at":1790000060,"status":"processed","status_details":null}],"first_id":"file-jH1eMWm4uOwpzUvx8MhI6g","last_id":"file-jH1eMWm4uOwpzUvx8MhI6g","has_more":true}"#);
        insta::assert_snapshot!(std::str::from_utf8(&render_deleted("file-x")).unwrap(), @r#"{"id":"file-x","object":"file","deleted":true}"#);
    }

    #[test]
    fn queries_say_which_page() {
        let (page, purpose) = page(Some("limit=2&after=file-x&order=asc&purpose=batch")).unwrap();
        assert_eq!(page, Page { limit: 2, after: Some("file-x".to_owned()), before: None, is_ascending: true });
        assert_eq!(purpose.as_deref(), Some("batch"));
        for wrong in ["limit=0", "limit=x", "limit=10001", "order=up"] {
            assert!(super::page(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
