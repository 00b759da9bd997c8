//! Variables of the application and of its components: `{{ name }}` templates, defaults and what the
//! environment overrides.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::manifest::{Component, Manifest};

/// What the environment variable of an application variable starts with, as in Spin.
pub const ENVIRONMENT_PREFIX: &str = "SPIN_VARIABLE_";

/// Why a value could not be worked out.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VariableError {
    /// A required variable has no value.
    #[error("the variable `{name}` is required: set {environment} in the environment")]
    Missing {
        /// The application variable.
        name: String,
        /// The environment variable that would give it a value.
        environment: String,
    },
    /// A template names a variable that the application does not declare.
    #[error("{place}: the template `{template}` uses `{name}`, which [variables] does not declare")]
    Undeclared {
        /// Where the template stands.
        place: String,
        /// The template as written.
        template: String,
        /// The variable that it names.
        name: String,
    },
    /// A template opens `{{` and does not close it.
    #[error("{place}: the template `{template}` has `{{{{` without `}}}}`")]
    Unclosed {
        /// Where the template stands.
        place: String,
        /// The template as written.
        template: String,
    },
}

/// The application's variables with their values.
#[derive(Clone, Default)]
pub struct Values(BTreeMap<String, String>);

impl Values {
    /// Takes each variable from `environment` (asked with the full name, `SPIN_VARIABLE_…`), else from
    /// its default.
    pub fn resolve(
        manifest: &Manifest,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, VariableError> {
        let mut values = BTreeMap::new();
        for (name, variable) in &manifest.variables {
            let key = environment_name(name);
            let value = environment(&key).or_else(|| variable.default.clone());
            let Some(value) = value else {
                return Err(VariableError::Missing {
                    name: name.clone(),
                    environment: key,
                });
            };
            values.insert(name.clone(), value);
        }
        Ok(Self(values))
    }

    /// Fills a template in. `place` is for the error: the key that holds it.
    pub fn render(&self, template: &str, place: &str) -> Result<String, VariableError> {
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((literal, tail)) = rest.split_once("{{") {
            text.push_str(literal);
            let Some((name, tail)) = tail.split_once("}}") else {
                return Err(VariableError::Unclosed {
                    place: place.to_owned(),
                    template: template.to_owned(),
                });
            };
            let name = name.trim();
            let Some(value) = self.0.get(name) else {
                return Err(VariableError::Undeclared {
                    place: place.to_owned(),
                    template: template.to_owned(),
                    name: name.to_owned(),
                });
            };
            text.push_str(value);
            rest = tail;
        }
        text.push_str(rest);
        Ok(text)
    }

    /// The variables that one component sees.
    pub fn of_component(
        &self,
        id: &str,
        component: &Component,
    ) -> Result<BTreeMap<String, String>, VariableError> {
        component
            .variables
            .iter()
            .map(|(name, template)| {
                let place = format!("component.{id}.variables.{name}");
                Ok((name.clone(), self.render(template, &place)?))
            })
            .collect()
    }
}

/// The environment variable that overrides an application variable.
pub fn environment_name(variable: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", variable.to_ascii_uppercase())
}

/// Whether a variable may have this name: lower-case words, joined by single underscores.
pub fn is_variable_name(name: &str) -> bool {
    is_words(name, '_')
}

/// Whether `text` is lower-case words (a letter, then letters and digits) joined by single `joint`s.
pub(crate) fn is_words(text: &str, joint: char) -> bool {
    text.split(joint).enumerate().all(|(index, word)| {
        let mut chars = word.chars();
        let first = chars.next();
        let first_fits = match first {
            Some(c) if index == 0 => c.is_ascii_lowercase(),
            Some(c) => c.is_ascii_lowercase() || c.is_ascii_digit(),
            None => false,
        };
        first_fits && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        Values(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn templates() {
        let values = values(&[("host", "127.0.0.1"), ("port", "3020"), ("empty", "")]);
        for (template, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{{ host }}", "127.0.0.1"),
            ("{{host}}:{{ port}}", "127.0.0.1:3020"),
            ("http://{{ host }}:{{ port }}/x", "http://127.0.0.1:3020/x"),
            ("[{{ empty }}]", "[]"),
            ("}} alone", "}} alone"),
            ("{ host }", "{ host }"),
        ] {
            assert_eq!(
                values.render(template, "here").unwrap(),
                expected,
                "{template}"
            );
        }
    }

    #[test]
    fn templates_that_are_wrong_say_where() {
        let values = values(&[("host", "h")]);
        for (template, expected) in [
            (
                "{{ host",
                "here: the template `{{ host` has `{{` without `}}`",
            ),
            (
                "{{ prot }}",
                "here: the template `{{ prot }}` uses `prot`, which [variables] does not declare",
            ),
        ] {
            assert_eq!(
                values.render(template, "here").unwrap_err().to_string(),
                expected
            );
        }
    }

    #[test]
    fn names() {
        for (name, fits) in [
            ("a", true),
            ("dapr_url", true),
            ("a1_2b", true),
            ("", false),
            ("A", false),
            ("1a", false),
            ("a__b", false),
            ("_a", false),
            ("a_", false),
            ("a-b", false),
        ] {
            assert_eq!(is_variable_name(name), fits, "{name}");
        }
    }
}
