//! A network that is a function in this process: a lab, or a lab behind something that disturbs it.
//!
//! It knows requests and answers, not what they mean.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use snapmigrate_lab::Lab;

/// The answer to a request, or none: the connection was lost, and nobody knows whether the request arrived.
pub type Answering = Pin<Box<dyn Future<Output = Option<Response<Bytes>>> + Send>>;

/// Carries requests.
#[derive(Clone)]
pub struct Wire(Arc<dyn Fn(Request<Bytes>) -> Answering + Send + Sync>);

impl Wire {
    /// Straight into a lab.
    #[must_use]
    pub fn to(lab: Lab) -> Self {
        Self::through(move |request| {
            let lab = lab.clone();
            Box::pin(async move { Some(lab.http(request).await) })
        })
    }

    /// Through a function of any kind.
    pub fn through(carry: impl Fn(Request<Bytes>) -> Answering + Send + Sync + 'static) -> Self {
        Self(Arc::new(carry))
    }

    /// Carries one request.
    pub fn carry(&self, request: Request<Bytes>) -> Answering {
        (self.0)(request)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}
