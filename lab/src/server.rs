//! The lab as an HTTP/1 server: every connection's requests go to [`Lab::http`].
//!
//! Must not know any service. Bodies may come with a length or chunked, and after `Expect: 100-continue`; connections are
//! kept alive. When `stop` resolves no more connections are taken, requests under way are answered, idle connections
//! are closed.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Lab;
use crate::wire::reply::respond;

/// Largest request body taken: a block is 512 KiB, the rest is small.
const BODY_BYTES_MAX: u64 = 16 << 20;
/// How long requests under way may take once the server is told to stop.
const STOP_SECONDS: u64 = 10;
/// Write buffer per connection: a whole block goes out in few system calls.
const BUFFER_BYTES: usize = 1 << 20;

/// Serves `lab` on `listener` until `stop` resolves.
///
/// # Errors
/// When the listener itself fails; a failed connection only ends that connection.
pub async fn serve(
    lab: Lab,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let mut stop = pin!(stop);
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(connection(lab.clone(), stream, stopped.clone())); }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let _ = stopping.send(true);
    let all_closed = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(STOP_SECONDS), all_closed).await;
    lab.detach_devices().map_err(std::io::Error::other)
}

/// Errors of accept that say nothing about the listener.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

async fn connection(lab: Lab, stream: TcpStream, mut stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(lab.clone(), request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).max_buf_size(BUFFER_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn answer(lab: Lab, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let response = match read(body).await {
        Some(body) => lab.http(Request::from_parts(parts, body)).await,
        None => respond(
            413,
            "text/plain",
            "the request's body is too large or broken",
        ),
    };
    Ok(response.map(Full::new))
}

/// Reads a whole body: one frame without a copy, more into one buffer of the announced size.
async fn read(mut body: Incoming) -> Option<Bytes> {
    let announced = body.size_hint().lower().min(BODY_BYTES_MAX);
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else {
            continue;
        };
        match first.take() {
            None if joined.is_empty() => first = Some(data),
            earlier => {
                joined.reserve(
                    usize::try_from(announced)
                        .ok()?
                        .saturating_sub(joined.len()),
                );
                joined.extend_from_slice(&earlier.unwrap_or_default());
                joined.extend_from_slice(&data);
            }
        }
        if joined.len() as u64 > BODY_BYTES_MAX {
            return None;
        }
    }
    Some(first.unwrap_or_else(|| joined.freeze()))
}
