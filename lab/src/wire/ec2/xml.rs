//! Writes XML elements in order. Must not know any shape.

use std::fmt::Display;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::wire::reply::escape;
use crate::world::Tags;

/// XML under construction.
#[derive(Debug, Default)]
pub(super) struct Xml {
    text: String,
}

impl Xml {
    pub(super) fn new() -> Xml {
        Xml::default()
    }

    /// What was written.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// An element with a text.
    pub(super) fn text(&mut self, name: &str, value: impl Display) -> &mut Xml {
        let value = escape(&value.to_string());
        self.text.push_str(&format!("<{name}>{value}</{name}>"));
        self
    }

    /// An element with a text, when there is one.
    pub(super) fn maybe(&mut self, name: &str, value: Option<impl Display>) -> &mut Xml {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// An element with a time, to the millisecond.
    pub(super) fn time(&mut self, name: &str, at: DateTime<Utc>) -> &mut Xml {
        self.text(name, time_text(at))
    }

    /// An element with elements in it.
    pub(super) fn nest(&mut self, name: &str, inside: impl FnOnce(&mut Xml)) -> &mut Xml {
        self.text.push_str(&format!("<{name}>"));
        inside(self);
        self.text.push_str(&format!("</{name}>"));
        self
    }

    /// A list: an element with one `item` for each.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Xml, T),
    ) -> &mut Xml {
        self.nest(name, |xml| {
            for item in items {
                xml.nest("item", |xml| each(xml, item));
            }
        })
    }

    /// An empty list.
    pub(super) fn no_items(&mut self, name: &str) -> &mut Xml {
        self.nest(name, |_| {})
    }

    /// The `tagSet`.
    pub(super) fn tags(&mut self, tags: &Tags) -> &mut Xml {
        self.list("tagSet", tags, |xml, (key, value)| {
            xml.text("key", key).text("value", value);
        })
    }

    /// The answer of actions that only say that they worked.
    pub(super) fn done() -> Xml {
        let mut xml = Xml::new();
        xml.text("return", true);
        xml
    }
}

/// A time as EC2 writes it.
pub(super) fn time_text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
