//! What an agent token allows (the `scope` of OAuth 2.0, RFC 6749, section 3.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// One thing that may be allowed. None includes another.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum Scope {
    /// Reading tasks, tags and changes, exports, and the planner.
    #[serde(rename = "tasks:read")]
    TasksRead,
    /// Creating and changing tasks.
    #[serde(rename = "tasks:write")]
    TasksWrite,
    /// Deleting tasks.
    #[serde(rename = "tasks:delete")]
    TasksDelete,
    /// Talking to the assistant, which does what the other scopes allow.
    #[serde(rename = "chat")]
    Chat,
    /// Reading the audit log and tasks' histories.
    #[serde(rename = "audit:read")]
    AuditRead,
}

/// Several of them.
pub type Scopes = BTreeSet<Scope>;

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [
        Self::TasksRead,
        Self::TasksWrite,
        Self::TasksDelete,
        Self::Chat,
        Self::AuditRead,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TasksRead => "tasks:read",
            Self::TasksWrite => "tasks:write",
            Self::TasksDelete => "tasks:delete",
            Self::Chat => "chat",
            Self::AuditRead => "audit:read",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_word() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        assert_eq!(Scopes::from(Scope::ALL).len(), Scope::ALL.len());
        assert_eq!(Scope::parse("tasks"), None);
    }
}
