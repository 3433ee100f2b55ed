//! EC2's filters: every filter must match one of its values, with `*` and `?` as wildcards.
//! Must not know what is filtered: it is told the values that an item has for a filter's name.

use crate::error::ApiError;
use crate::world::Tags;

use super::params::Params;

/// The filters of one request.
#[derive(Debug)]
pub(super) struct Filters {
    filters: Vec<(String, Vec<String>)>,
}

impl Filters {
    /// Reads `Filter.N.Name` and `Filter.N.Value.N`.
    ///
    /// # Errors
    /// `InvalidParameterValue` naming a filter that is not among `known` (nor `tag:…`, `tag-key`).
    pub(super) fn read(params: &Params, known: &[&str]) -> Result<Filters, ApiError> {
        let mut filters = Vec::new();
        for prefix in params.structures("Filter") {
            let name = params.required(&format!("{prefix}Name"))?;
            let is_known = known.contains(&name) || name == "tag-key" || name.starts_with("tag:");
            if !is_known {
                let message = format!("The filter '{name}' is invalid");
                return Err(ApiError::client("InvalidParameterValue", message));
            }
            filters.push((name.to_owned(), params.list(&format!("{prefix}Value"))));
        }
        Ok(Filters { filters })
    }

    /// Whether an item with these tags and these values for a filter's name passes all filters.
    pub(super) fn pass(&self, tags: &Tags, values: impl Fn(&str) -> Vec<String>) -> bool {
        self.filters.iter().all(|(name, wanted)| {
            let found = match (name.strip_prefix("tag:"), name.as_str()) {
                (Some(key), _) => tags.get(key).cloned().into_iter().collect(),
                (None, "tag-key") => tags.keys().cloned().collect(),
                (None, name) => values(name),
            };
            found
                .iter()
                .any(|value| wanted.iter().any(|pattern| like(pattern, value)))
        })
    }
}

/// Whether `value` matches `pattern`, in which `*` stands for any text and `?` for one character.
fn like(pattern: &str, value: &str) -> bool {
    let (pattern, value): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), value.chars().collect());
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < value.len() {
        match (pattern.get(at), star) {
            (Some('*'), _) => {
                star = Some((at, from));
                at += 1;
            }
            (Some(&c), _) if c == '?' || c == value[from] => {
                at += 1;
                from += 1;
            }
            (_, Some((place, taken))) => {
                star = Some((place, taken + 1));
                at = place + 1;
                from = taken + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, value, fits) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*c", "abbbc", true),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*-1", "us-east-1", true),
            ("*b*d", "abcbcd", true),
        ] {
            assert_eq!(like(pattern, value), fits, "{pattern} {value}");
        }
    }

    #[test]
    fn all_filters_and_any_value() {
        let form = crate::wire::form::Form::from_body(
            b"Filter.1.Name=tag:plan&Filter.1.Value.1=p1&Filter.1.Value.2=p2\
              &Filter.2.Name=status&Filter.2.Value.1=pending",
        );
        let filters = Filters::read(&Params::new(&form), &["status"]).expect("known");
        let tags = Tags::from([("plan".to_owned(), "p2".to_owned())]);
        assert!(filters.pass(&tags, |_| vec!["pending".to_owned()]));
        assert!(!filters.pass(&tags, |_| vec!["error".to_owned()]));
        assert!(!filters.pass(&Tags::new(), |_| vec!["pending".to_owned()]));
        assert!(Filters::read(&Params::new(&form), &[]).is_err());
    }
}
