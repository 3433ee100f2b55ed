//! Pages of describes: a size, and a token that says after which item to go on.
//! Must not know what is listed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::ApiError;

use super::params::Params;

/// Smallest page (EC2 API reference, DescribeSnapshots).
const SMALLEST: usize = 5;
/// Largest page (EC2 API reference, DescribeSnapshots).
const LARGEST: usize = 1000;

/// Which page is wanted.
#[derive(Debug)]
pub(super) struct Page {
    size: usize,
    after: Option<String>,
}

impl Page {
    /// Reads `MaxResults` and `NextToken`.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a page below 5, `InvalidPaginationToken` for a token not of the lab.
    pub(super) fn read(params: &Params) -> Result<Page, ApiError> {
        let size: Option<usize> = params.parsed("MaxResults")?;
        if let Some(size) = size.filter(|size| *size < SMALLEST) {
            let message = format!(
                "Value ( {size} ) for parameter maxResults is invalid. \
                 Expecting a value of at least {SMALLEST}."
            );
            return Err(ApiError::client("InvalidParameterValue", message));
        }
        let after = params.text("NextToken").map(decode).transpose()?;
        Ok(Page {
            size: size.unwrap_or(LARGEST).min(LARGEST),
            after,
        })
    }

    /// The items of the page out of all, which come in ascending order of their id, and the token of
    /// the next one.
    pub(super) fn cut<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        id: impl Fn(&T) -> &str,
    ) -> (Vec<T>, Option<String>) {
        let rest = items
            .into_iter()
            .filter(|item| self.after.as_deref().is_none_or(|after| id(item) > after));
        let mut page: Vec<T> = rest.take(self.size + 1).collect();
        if page.len() <= self.size {
            return (page, None);
        }
        page.truncate(self.size);
        let token = page.last().map(|last| URL_SAFE_NO_PAD.encode(id(last)));
        (page, token)
    }
}

fn decode(token: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            ApiError::client("InvalidPaginationToken", "The pagination token is invalid.")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::form::Form;

    #[test]
    fn pages_cover_everything_once() {
        let all: Vec<String> = (0..23).map(|n| format!("snap-{n:02}")).collect();
        let (mut text, mut seen) = ("MaxResults=5".to_owned(), Vec::new());
        loop {
            let form = Form::from_body(text.as_bytes());
            let page = Page::read(&Params::new(&form)).expect("well formed");
            let (items, next) = page.cut(all.clone(), |id| id);
            seen.extend(items);
            let Some(token) = next else { break };
            text = format!("MaxResults=5&NextToken={token}");
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn small_pages_and_foreign_tokens_are_refused() {
        for text in ["MaxResults=4", "NextToken=***"] {
            let form = Form::from_body(text.as_bytes());
            assert!(Page::read(&Params::new(&form)).is_err(), "{text}");
        }
    }
}
