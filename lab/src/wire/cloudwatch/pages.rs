//! Pages of GetMetricData: at most so many data points an answer, all pages as of the time of the first.
//!
//! A page token carries how many points were sent, is bound to the caller and the request, and lives an hour (the
//! service does not say how long; the lab's assumption). Must not know protocols nor the world.

use chrono::{DateTime, Utc};

use super::codec::{Answer, Series};
use super::request::Request;
use super::series::Minute;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::wire::token::{Purpose, Sealer, subject};

const PAGE_TOKEN_SECONDS: i64 = 60 * 60;

/// How far a caller has read one request's data points.
pub struct Flow {
    sealer: Sealer,
    subject: u64,
    sent: usize,
    as_of: DateTime<Utc>,
}

impl Flow {
    /// Starts at the first page, or where the request's token points to.
    ///
    /// # Errors
    /// `InvalidNextToken` (400) for a token of another request or caller, and for one that has expired.
    pub fn resume(
        sealer: Sealer,
        caller: &Caller,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Flow, ApiError> {
        let unpaged = Request {
            next_token: None,
            ..request.clone()
        };
        let subject = subject(&[&caller.account, &caller.region, &format!("{unpaged:?}")]);
        let Some(token) = &request.next_token else {
            return Ok(Flow {
                sealer,
                subject,
                sent: 0,
                as_of: now,
            });
        };
        let opened = sealer.open(
            token,
            (Purpose::MetricPage, subject),
            now,
            PAGE_TOKEN_SECONDS,
        );
        let opened = opened.map_err(|_| invalid_token())?;
        let sent = usize::try_from(opened.position).map_err(|_| invalid_token())?;
        Ok(Flow {
            sealer,
            subject,
            sent,
            as_of: opened.issued,
        })
    }

    /// The time that every page of this request is as of.
    pub fn as_of(&self) -> DateTime<Utc> {
        self.as_of
    }

    /// Cuts the next page out of all data points, given in the order of the request's queries.
    pub fn page(&self, request: &Request, points: Vec<Vec<Minute>>) -> Answer {
        let total: usize = points.iter().map(Vec::len).sum();
        let end = self.sent.saturating_add(request.points_max).min(total);
        let mut offset = 0;
        let mut results = Vec::new();
        for (query, points) in request.queries.iter().zip(points) {
            let within = |position: usize| position.saturating_sub(offset).min(points.len());
            let on_page = points[within(self.sent)..within(end).max(within(self.sent))].to_vec();
            offset += points.len();
            results.push(Series {
                id: query.id.clone(),
                label: query.label.clone(),
                points: on_page,
                status: if offset > end {
                    "PartialData"
                } else {
                    "Complete"
                },
            });
        }
        Answer {
            results,
            next_token: (end < total).then(|| self.token(end)),
        }
    }

    fn token(&self, sent: usize) -> String {
        self.sealer
            .seal(Purpose::MetricPage, self.subject, sent as u64, self.as_of)
    }
}

fn invalid_token() -> ApiError {
    ApiError::client("InvalidNextToken", "The next token specified is invalid.")
}
