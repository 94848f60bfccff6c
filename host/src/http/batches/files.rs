//! What is asked about files.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::dialect::openai::files;
use crate::http::body::ReplyBody;
use crate::http::handler::{Visit, read};
use crate::types::api_error::ApiError;

/// What can be done about files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAct {
    /// Hand one in.
    Upload,
    /// See them all.
    List,
    /// See one.
    Retrieve,
    /// Read one.
    Content,
    /// Forget one.
    Delete,
}

impl Visit {
    /// Does `act` to the file `id`, or to all of them.
    pub async fn files(self, act: FileAct, id: String, request: Request<Incoming>) -> Response<ReplyBody> {
        let (parts, body) = request.into_parts();
        let found = || self.door.bulks.file(&id, self.unix_s()).ok_or_else(|| files::absent(&id));
        let answer = match act {
            FileAct::Upload => read(body).await.and_then(|body| {
                let upload = files::upload(&parts.headers, &body)?;
                let seed = self.door.engine.running().generation.seed;
                Ok(files::render(&self.door.bulks.keep(upload, seed, self.unix_s())))
            }),
            FileAct::List => self.list_files(parts.uri.query()).await,
            FileAct::Retrieve => found().map(|file| files::render(&file)),
            FileAct::Content => found().map(|file| file.upload.content.clone()),
            FileAct::Delete => found().map(|file| {
                self.door.bulks.files.remove(&file.id);
                files::render_deleted(&file.id)
            }),
        };
        match answer {
            Ok(body) if act == FileAct::Content => self.content(body, "application/octet-stream"),
            Ok(body) => self.json(body, self.door.engine.running().generation.number),
            Err(error) => self.error(&error),
        }
    }

    /// A page of the list of files. It may have all there are, so it is put together beside the worker.
    async fn list_files(&self, query: Option<&str>) -> Result<Bytes, ApiError> {
        let (page, purpose) = files::page(query)?;
        let (bulks, now) = (Arc::clone(&self.door.bulks), self.unix_s());
        let listed = tokio::task::spawn_blocking(move || {
            let mut all = bulks.files.all();
            all.retain(|file| file.expires().is_none_or(|expires| expires > now));
            all.retain(|file| purpose.as_ref().is_none_or(|purpose| *purpose == *file.upload.purpose));
            all.sort_unstable_by_key(|file| file.number);
            let absent = || files::absent(page.after.as_deref().unwrap_or_default());
            let (page, has_more) = page.of(all, |file| &file.id).ok_or_else(absent)?;
            Ok(files::render_list(&page, has_more))
        });
        listed.await.map_err(|_| ApiError::of_status(500, "The files could not be listed."))?
    }
}
