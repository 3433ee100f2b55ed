//! The HTTP client that carries blocks: an answer's bytes go from its connection straight into the buffer that is
//! written to the device. Connections hold no memory of their own, so that there may be many.
//!
//! It is the SDK's client below GetSnapshotBlock and no more: signing, errors and what an answer means stay the SDK's. It
//! carries a GET whose answer has a length. Everything else goes the SDK's ordinary way, also a request that was
//! answered in another shape: a GET can be sent again. It repeats nothing that failed.

mod connection;
mod head;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::buffers::{BLOCK, Pool};
use connection::{Connection, Connections};
use head::{Head, MOST_BYTES, asked};

/// Longest answer beside a block: an error.
const ERROR_BYTES_MAX: usize = 1 << 20;
/// Read at first: a head and little of what follows it.
const FIRST_READ: usize = 2048;

/// The client.
#[derive(Clone, Debug)]
pub(super) struct Carrier(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ordinary: SharedHttpClient,
    pool: Arc<Pool>,
    connections: Connections,
    /// Answers come in a shape that it does not know.
    is_of_no_use: AtomicBool,
}

impl Carrier {
    /// Carries blocks into buffers of this pool; everything else goes through `ordinary`.
    pub(super) fn new(ordinary: SharedHttpClient, pool: Arc<Pool>) -> Self {
        Self(Arc::new(Shared {
            ordinary,
            pool,
            connections: Connections::default(),
            is_of_no_use: AtomicBool::new(false),
        }))
    }
}

impl HttpClient for Carrier {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let ordinary = self.0.ordinary.http_connector(settings, components);
        let shared = Arc::clone(&self.0);
        SharedHttpConnector::new(Way { shared, ordinary })
    }
}

#[derive(Clone, Debug)]
struct Way {
    shared: Arc<Shared>,
    ordinary: SharedHttpConnector,
}

impl HttpConnector for Way {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some((uri, sent)) = self.shared.may_carry(&request) else {
            return self.ordinary.call(request);
        };
        let way = self.clone();
        HttpConnectorFuture::new(async move {
            match way.shared.carry(&uri, &sent).await {
                Ok(Some(answer)) => Ok(answer),
                Ok(None) => {
                    way.shared.is_of_no_use.store(true, Ordering::Relaxed);
                    way.ordinary.call(request).await
                }
                Err(error) => Err(ConnectorError::io(error.into())),
            }
        })
    }
}

impl Shared {
    /// Where a request for a block goes, and its bytes.
    fn may_carry(&self, request: &HttpRequest) -> Option<(Uri, Vec<u8>)> {
        if request.method() != "GET" || self.is_of_no_use.load(Ordering::Relaxed) {
            return None;
        }
        let uri: Uri = request.uri().parse().ok()?;
        let is_block = uri.path().contains("/blocks/");
        is_block
            .then(|| asked(&uri, request.headers().iter()))?
            .map(|sent| (uri, sent))
    }

    /// None when the answer has a shape that is not known here.
    async fn carry(&self, uri: &Uri, sent: &[u8]) -> io::Result<Option<HttpResponse>> {
        let (mut connection, head) = match self.on_an_idle_one(uri, sent).await {
            Some(answered) => answered,
            None => {
                let mut connection = self.connections.connect(uri).await?;
                let head = exchange(&mut connection, sent).await?;
                (connection, head)
            }
        };
        let Some(length) = head.length.filter(|_| head.status >= 200) else {
            return Ok(None);
        };
        let body = self.body(&mut connection, &head.rest, length).await?;
        if head.keeps_alive {
            self.connections.keep(connection);
        }
        answer(&head, body).map(Some)
    }

    /// Idle connections are closed by the other side as it pleases: then the next one is tried.
    async fn on_an_idle_one(&self, uri: &Uri, sent: &[u8]) -> Option<(Connection, Head)> {
        loop {
            let mut connection = self.connections.idle(uri)?;
            if let Ok(head) = exchange(&mut connection, sent).await {
                return Some((connection, head));
            }
        }
    }

    async fn body(
        &self,
        connection: &mut Connection,
        begun: &[u8],
        length: usize,
    ) -> io::Result<Bytes> {
        if begun.len() > length || (length > ERROR_BYTES_MAX && length != BLOCK) {
            return Err(malformed("an answer of an impossible length"));
        }
        if length != BLOCK {
            let mut body = begun.to_vec();
            let left = (length - begun.len()) as u64;
            connection
                .stream()
                .take(left)
                .read_to_end(&mut body)
                .await?;
            return (body.len() == length)
                .then(|| body.into())
                .ok_or_else(broken_off);
        }
        let mut buffer = self.pool.lend().await;
        buffer.put(begun);
        while !buffer.room().is_empty() {
            match connection.stream().read(buffer.room()).await? {
                0 => return Err(broken_off()),
                read => buffer.filled(read),
            }
        }
        Ok(Bytes::from_owner(buffer))
    }
}

async fn exchange(connection: &mut Connection, sent: &[u8]) -> io::Result<Head> {
    let stream = connection.stream();
    stream.write_all(sent).await?;
    stream.flush().await?;
    let mut bytes = Vec::with_capacity(FIRST_READ);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(broken_off());
        }
        if let Some(head) = Head::parsed(&bytes).map_err(malformed)? {
            return Ok(head);
        }
        if bytes.len() >= MOST_BYTES {
            return Err(malformed("an answer with an endless head"));
        }
        bytes.reserve(FIRST_READ);
    }
}

fn answer(head: &Head, body: Bytes) -> io::Result<HttpResponse> {
    let status = head.status.try_into().map_err(io::Error::other)?;
    let mut answer = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in &head.headers {
        answer
            .headers_mut()
            .try_append(name.clone(), value.clone())
            .map_err(io::Error::other)?;
    }
    Ok(answer)
}

fn broken_off() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the connection was closed in mid-answer",
    )
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
