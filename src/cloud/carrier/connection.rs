//! Connections to one endpoint, over TLS where its scheme says so, kept while they are idle. Knows nothing of HTTP.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

/// A connection that is not there after this time will not be.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// Longer idle ones may have been forgotten on the way.
const IDLE_AT_MOST: Duration = Duration::from_secs(20);

type Stream = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    to: String,
    idle_since: Instant,
}

impl Connection {
    pub(super) const fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

/// Idle connections, and the way to new ones.
#[derive(Debug, Default)]
pub(super) struct Connections {
    idle: Mutex<Vec<Connection>>,
    ways: OnceLock<Result<HttpsConnector<HttpConnector>, Arc<io::Error>>>,
}

impl Connections {
    /// The one that was used last, if one is left.
    pub(super) fn idle(&self, uri: &Uri) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let to = origin(uri);
        idle.retain(|one| one.to == to && one.idle_since.elapsed() < IDLE_AT_MOST);
        idle.pop()
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(super) fn keep(&self, connection: Connection) {
        let idle_since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Connection {
            idle_since,
            ..connection
        });
    }

    /// A new connection.
    pub(super) async fn connect(&self, uri: &Uri) -> io::Result<Connection> {
        let ways = self.ways.get_or_init(|| ways().map_err(Arc::new));
        let mut way = ways.clone().map_err(io::Error::other)?;
        let connected = async {
            poll_fn(|context| way.poll_ready(context)).await?;
            way.call(uri.clone()).await
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        let connected = tokio::time::timeout(CONNECTS_WITHIN, connected).await;
        let stream = connected.map_err(|_| late())?.map_err(io::Error::other)?;
        Ok(Connection {
            stream: TokioIo::new(stream),
            to: origin(uri),
            idle_since: Instant::now(),
        })
    }
}

fn ways() -> io::Result<HttpsConnector<HttpConnector>> {
    let mut plain = HttpConnector::new();
    plain.enforce_http(false);
    plain.set_nodelay(true);
    let roots = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?;
    Ok(roots.https_or_http().enable_http1().wrap_connector(plain))
}

fn origin(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}", uri.scheme_str().unwrap_or_default())
}
