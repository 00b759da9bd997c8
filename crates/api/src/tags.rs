//! Tags of all tasks together.

use docket_domain::task::MAX_TAG;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account's tags.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TagList<'a> {
    /// The tags that tasks have, in the order of their names.
    pub tags: Vec<TagView<'a>>,
}

/// A tag with the tasks that have it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TagView<'a> {
    /// The tag, as it is written on the tasks.
    pub name: &'a str,
    /// How many open tasks have it.
    pub open: u32,
    /// How many done tasks have it.
    pub done: u32,
}

/// Another name for a tag.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["name"]))]
pub struct TagRename {
    /// The name; if it is there already, the two become one.
    #[schemars(length(min = 1, max = MAX_TAG))]
    pub name: String,
}

/// How far a change of many tasks went.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TagsChanged {
    /// How many tasks were changed.
    pub changed: usize,
}
