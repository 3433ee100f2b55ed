//! The lab as the SDK's HTTP client: requests go to a function in this process instead of a socket.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

use super::Wire;

/// An HTTP client whose whole network is a function.
#[derive(Clone)]
pub(super) struct LabHttp {
    wire: Wire,
}

impl LabHttp {
    pub(super) const fn new(wire: Wire) -> Self {
        Self { wire }
    }
}

impl std::fmt::Debug for LabHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LabHttp")
    }
}

impl HttpClient for LabHttp {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for LabHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.wire.clone();
        HttpConnectorFuture::new(async move {
            let request = into_plain(request).await?;
            let answer = wire.carry(request).await;
            let answer = answer.ok_or_else(|| ConnectorError::io(LOST.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from))
                .map_err(|error| ConnectorError::user(error.into()))
        })
    }
}

/// What the SDK is told of an answer that does not come.
const LOST: &str = "the connection was lost";

async fn into_plain(request: HttpRequest) -> Result<http::Request<Bytes>, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(Box::new(error)))?;
    let (parts, body) = request.into_parts();
    let bytes = aws_smithy_types::byte_stream::ByteStream::new(body)
        .collect()
        .await
        .map_err(|error| ConnectorError::io(error.into()))?
        .into_bytes();
    Ok(http::Request::from_parts(parts, bytes))
}
