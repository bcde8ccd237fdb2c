//! `/v1/threads/{id}/export` and `/import`: a thread as JSON lines, nothing left out.

use crate::http::body::Ndjson;
use crate::http::caller::{Reader, Writer};
use crate::http::check;
use crate::http::error::ApiError;
use crate::http::routes::threads;
use crate::http::wire::json;
use crate::http::wire::transfer::ImportAnswer;
use actix_web::HttpResponse;
use actix_web::web::{self, Bytes, Path};
use cmg_memory::plan;
use cmg_memory::thread::Thread;
use futures_util::stream;
use std::sync::Arc;
use tokio::sync::mpsc::{Sender, channel};

/// Bytes that are sent at once, about.
const PIECE: usize = 64 * 1024;
/// Pieces that wait for a slow reader at most.
const WAITING: usize = 4;

/// What goes down the stream; an error cuts the answer off.
type Piece = Result<Bytes, serde_json::Error>;

/// A thread as JSON lines: a header, then one line an item.
#[utoipa::path(get, path = "/v1/threads/{id}/export", tag = "threads", params(("id" = String, Path, description = "The thread")),
    responses((status = 200, description = "The lines.", body = String, content_type = "application/x-ndjson")))]
pub async fn export(caller: Reader, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let thread = threads::one(&caller, &id).await?;
    let (sender, receiver) = channel(WAITING);
    drop(web::block(move || write(&thread, &sender)));
    let pieces = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(pieces))
}

/// Writes the lines in pieces, as fast as the reader takes them; ends when it is gone.
fn write(thread: &Arc<Thread>, sender: &Sender<Piece>) {
    let mut piece = String::with_capacity(PIECE);
    for line in plan::export(thread) {
        match line {
            Ok(line) => piece.push_str(&line),
            Err(error) => return drop(sender.blocking_send(Err(error))),
        }
        if piece.len() >= PIECE && sender.blocking_send(Ok(Bytes::from(std::mem::take(&mut piece)))).is_err() {
            return;
        }
    }
    drop(sender.blocking_send(Ok(Bytes::from(piece))));
}

/// Takes in the lines of an export, into a thread that is empty or does not exist.
#[utoipa::path(post, path = "/v1/threads/{id}/import", tag = "threads", params(("id" = String, Path, description = "The thread")),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, description = "The items are durable.", body = ImportAnswer)))]
pub async fn import(caller: Writer, id: Path<String>, body: Ndjson) -> Result<HttpResponse, ApiError> {
    check::name("id", &id)?;
    let done = caller.directory.import(&caller.workspace, &id, body.0).await?;
    json(&ImportAnswer { thread_id: &id, imported: done.imported, renamed: done.renamed })
}
