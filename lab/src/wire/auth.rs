//! Who is calling: reads the SigV4 `Authorization` header into an account, a region and a service.
//!
//! Signatures are **not** verified: the lab holds no secrets, so any secret key works. The credential scope
//! decides the region and the service; the access key id decides the account:
//! - 12 digits: that account;
//! - `ASIA` and 12 digits (what the lab's AssumeRole issues): that account;
//! - anything else: account [`ANY_ACCOUNT`].
//!
//! Must not know what any service does.

use http::HeaderMap;

use crate::caller::Caller;
use crate::error::ApiError;

/// The account of every access key id that does not name one.
pub const ANY_ACCOUNT: &str = "000000000000";

/// The prefix of temporary access key ids, followed by the account they were issued for.
pub const TEMPORARY_KEY_PREFIX: &str = "ASIA";

/// Reads the caller from the request's headers.
///
/// # Errors
/// `MissingAuthenticationToken` (403) without an `Authorization` header, `IncompleteSignature` (400) when it is
/// not a SigV4 header with a complete credential scope.
pub fn caller(headers: &HeaderMap) -> Result<Caller, ApiError> {
    let header = headers
        .get(http::header::AUTHORIZATION)
        .ok_or_else(missing)?;
    let text = header.to_str().map_err(|_| incomplete("is not text"))?;
    let fields = text
        .strip_prefix("AWS4-HMAC-SHA256")
        .ok_or_else(|| incomplete("is not AWS4-HMAC-SHA256"))?;
    let scope = fields
        .split(',')
        .find_map(|field| field.trim().strip_prefix("Credential="));
    let scope = scope.ok_or_else(|| incomplete("has no Credential"))?;
    from_scope(scope)
}

fn from_scope(scope: &str) -> Result<Caller, ApiError> {
    let parts: Vec<&str> = scope.split('/').collect();
    let [key, _date, region, service, "aws4_request"] = parts[..] else {
        return Err(incomplete(
            "has a Credential that is not KEY/DATE/REGION/SERVICE/aws4_request",
        ));
    };
    if key.is_empty() || region.is_empty() || service.is_empty() {
        return Err(incomplete("has a Credential with an empty part"));
    }
    Ok(Caller {
        account: account_of(key).to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
    })
}

fn account_of(key: &str) -> &str {
    let id = key.strip_prefix(TEMPORARY_KEY_PREFIX).unwrap_or(key);
    if is_account(id) { id } else { ANY_ACCOUNT }
}

/// Returns `true` for a 12-digit account id.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn missing() -> ApiError {
    ApiError::with_status(
        "MissingAuthenticationToken",
        "Request is missing Authentication Token",
        403,
    )
}

fn incomplete(what: &str) -> ApiError {
    ApiError::client(
        "IncompleteSignature",
        format!("The Authorization header {what}"),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(authorization: &str) -> Result<Caller, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", authorization.parse().unwrap());
        caller(&headers)
    }

    fn account(key: &str) -> String {
        let scope = format!("Credential={key}/20261102/eu-west-1/ebs/aws4_request");
        read(&format!(
            "AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"
        ))
        .unwrap()
        .account
    }

    #[test]
    fn the_key_names_the_account() {
        assert_eq!(account("111111111111"), "111111111111");
        assert_eq!(account("ASIA222222222222"), "222222222222");
        assert_eq!(account("AKIAIOSFODNN7EXAMPLE"), ANY_ACCOUNT);
        assert_eq!(account("test"), ANY_ACCOUNT);
    }

    #[test]
    fn the_scope_names_region_and_service() {
        let caller =
            read("AWS4-HMAC-SHA256 SignedHeaders=host,Credential=a/b/us-east-1/ec2/aws4_request")
                .unwrap();
        assert_eq!(
            (caller.region.as_str(), caller.service.as_str()),
            ("us-east-1", "ec2")
        );
    }

    #[test]
    fn bad_headers_are_refused_with_the_right_code() {
        assert_eq!(
            caller(&HeaderMap::new()).unwrap_err().code,
            "MissingAuthenticationToken"
        );
        for text in [
            "Basic abc",
            "AWS4-HMAC-SHA256 x=1",
            "AWS4-HMAC-SHA256 Credential=a/b/c",
        ] {
            assert_eq!(read(text).unwrap_err().code, "IncompleteSignature");
        }
    }
}
