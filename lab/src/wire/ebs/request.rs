//! EBS direct requests as plain values: which operation a method and path mean, and its parameters.
//!
//! URIs, header and query names follow the service model (EBS 2019-11-02). Must not know the world.

use http::request::Parts;
use http::{HeaderMap, Method};

use super::refusal::invalid;
use crate::error::ApiError;
use crate::wire::form::{Form, decode};

/// Which operation a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `GET /snapshots/{id}/blocks`
    ListSnapshotBlocks(String),
    /// `GET /snapshots/{second}/changedblocks`
    ListChangedBlocks(String),
    /// `GET /snapshots/{id}/blocks/{index}`
    GetSnapshotBlock(String, String),
    /// `PUT /snapshots/{id}/blocks/{index}`
    PutSnapshotBlock(String, String),
    /// `POST /snapshots`
    StartSnapshot,
    /// `POST /snapshots/completion/{id}`
    CompleteSnapshot(String),
}

impl Target {
    /// Reads method and path; `None` when they mean no EBS direct operation.
    pub fn read(method: &Method, path: &str) -> Option<Target> {
        let labels: Vec<String> = path
            .trim_start_matches('/')
            .split('/')
            .map(|label| decode(label, false))
            .collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        Some(match (method.as_str(), &labels[..]) {
            ("POST", ["snapshots"] | ["snapshots", ""]) => Target::StartSnapshot,
            ("POST", ["snapshots", "completion", id]) => Target::CompleteSnapshot((*id).to_owned()),
            ("GET", ["snapshots", id, "blocks"]) => Target::ListSnapshotBlocks((*id).to_owned()),
            ("GET", ["snapshots", id, "changedblocks"]) => {
                Target::ListChangedBlocks((*id).to_owned())
            }
            ("GET", ["snapshots", id, "blocks", block]) => {
                Target::GetSnapshotBlock((*id).to_owned(), (*block).to_owned())
            }
            ("PUT", ["snapshots", id, "blocks", block]) => {
                Target::PutSnapshotBlock((*id).to_owned(), (*block).to_owned())
            }
            _ => return None,
        })
    }

    /// The operation's name.
    pub fn action(&self) -> &'static str {
        match self {
            Target::ListSnapshotBlocks(_) => "ListSnapshotBlocks",
            Target::ListChangedBlocks(_) => "ListChangedBlocks",
            Target::GetSnapshotBlock(..) => "GetSnapshotBlock",
            Target::PutSnapshotBlock(..) => "PutSnapshotBlock",
            Target::StartSnapshot => "StartSnapshot",
            Target::CompleteSnapshot(_) => "CompleteSnapshot",
        }
    }

    /// The snapshot that the fixed per-snapshot rates of reading and writing blocks count for.
    pub fn block_snapshot(&self) -> Option<&str> {
        match self {
            Target::GetSnapshotBlock(id, _) | Target::PutSnapshotBlock(id, _) => Some(id),
            _ => None,
        }
    }
}

/// Which page of a listing is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// A page token; `start` is ignored when it is there.
    pub token: Option<String>,
    /// Most scanned blocks of the page, 100 to 10 000.
    pub max_results: u64,
    /// First block index wanted.
    pub start: u64,
}

/// Fewest and most results a page may be asked for (EBS service model, MaxResults).
const RESULTS_RANGE: std::ops::RangeInclusive<u64> = 100..=10_000;

impl Paging {
    /// Reads the paging parameters of a listing.
    ///
    /// # Errors
    /// `ValidationException` with `INVALID_PARAMETER_VALUE` for a number out of range.
    pub fn read(query: &Form) -> Result<Paging, ApiError> {
        let max_results = number(query, "maxResults")?.unwrap_or(*RESULTS_RANGE.end());
        if !RESULTS_RANGE.contains(&max_results) {
            return Err(invalid("MaxResults must be from 100 to 10000"));
        }
        let token = query
            .get("pageToken")
            .filter(|token| !token.is_empty())
            .map(str::to_owned);
        let start = number(query, "startingBlockIndex")?.unwrap_or(0);
        Ok(Paging {
            token,
            max_results,
            start,
        })
    }
}

/// Reads the query string of a request.
pub fn query_of(parts: &Parts) -> Form {
    Form::from_query(parts.uri.query().unwrap_or_default())
}

/// Reads a block index from a path label.
///
/// # Errors
/// `ValidationException` with `INVALID_PARAMETER_VALUE` when it is no number.
pub fn block_index(label: &str) -> Result<u64, ApiError> {
    label
        .parse()
        .map_err(|_| invalid("BlockIndex is not a non-negative number"))
}

/// Reads a header as text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn number(query: &Form, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|_| invalid(&format!("{name} is not a non-negative number")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reads_every_operation() {
        let read =
            |method: Method, path: &str| Target::read(&method, path).map(|target| target.action());
        assert_eq!(read(Method::POST, "/snapshots"), Some("StartSnapshot"));
        assert_eq!(
            read(Method::POST, "/snapshots/completion/snap-1"),
            Some("CompleteSnapshot")
        );
        assert_eq!(
            read(Method::GET, "/snapshots/snap-1/blocks"),
            Some("ListSnapshotBlocks")
        );
        assert_eq!(
            read(Method::GET, "/snapshots/snap-1/changedblocks"),
            Some("ListChangedBlocks")
        );
        assert_eq!(
            read(Method::GET, "/snapshots/snap-1/blocks/3"),
            Some("GetSnapshotBlock")
        );
        assert_eq!(
            read(Method::PUT, "/snapshots/snap-1/blocks/3"),
            Some("PutSnapshotBlock")
        );
        assert_eq!(read(Method::DELETE, "/snapshots/snap-1"), None);
    }

    #[test]
    fn paging_has_defaults_and_limits() {
        let read = |query: &str| Paging::read(&Form::from_query(query));
        assert_eq!(
            read("").unwrap(),
            Paging {
                token: None,
                max_results: 10_000,
                start: 0
            }
        );
        assert_eq!(
            read("maxResults=100&startingBlockIndex=7").unwrap().start,
            7
        );
        for bad in [
            "maxResults=99",
            "maxResults=10001",
            "maxResults=x",
            "startingBlockIndex=-1",
        ] {
            assert_eq!(
                read(bad).unwrap_err().code,
                "ValidationException/INVALID_PARAMETER_VALUE"
            );
        }
    }
}
