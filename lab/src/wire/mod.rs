//! The wire: from an HTTP request as AWS clients send it to the HTTP response they expect.

pub mod auth;
pub mod chunked;
pub mod cloudwatch;
pub mod form;
pub mod reply;
pub mod sts;
pub mod token;
