//! Query parameters: each is known and fits, or is refused; all that do not fit at once.

use docket_domain::{FieldError, FieldErrorCode};
use std::borrow::Cow;

use crate::Problem;

/// As many parameters are looked at. A request with more is refused without naming each.
const MAX_PARAMETERS: usize = 100;

/// What is wrong with a parameter's value.
pub struct Refusal(FieldErrorCode, Cow<'static, str>);

impl Refusal {
    /// The value breaks a rule of this kind; `detail` says which in words.
    pub fn new(code: FieldErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(code, detail.into())
    }
}

impl From<&'static str> for Refusal {
    fn from(detail: &'static str) -> Self {
        Self::new(FieldErrorCode::Invalid, detail)
    }
}

/// The parameters of a request, taken out one by one; what is left at the end is unknown.
pub struct Parameters {
    left: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Parameters {
    /// Splits a query string.
    ///
    /// # Errors
    /// There are too many to be meant.
    pub fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let given = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let left: Vec<_> = given.into_owned().take(MAX_PARAMETERS + 1).collect();
        if left.len() > MAX_PARAMETERS {
            let detail = format!("a request has at most {MAX_PARAMETERS} parameters");
            return Err(Problem::field("", FieldErrorCode::TooMany, detail));
        }
        Ok(Self {
            left,
            errors: Vec::new(),
        })
    }

    /// The parameter `name`, read by `read`; `None` if it was not given, or is refused.
    pub fn one<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let mut values = self.take(name).into_iter();
        let value = values.next()?;
        if values.next().is_some() {
            self.refuse(name, "it is given once".into());
            return None;
        }
        read(&value)
            .map_err(|refusal| self.refuse(name, refusal))
            .ok()
    }

    /// The parameter `cursor`, where a list goes on; `resume` knows its own cursors. `None` at the list's beginning.
    pub fn cursor<C>(&mut self, resume: impl FnOnce(&str) -> Option<C>) -> Option<C> {
        let read = |text: &str| match text {
            "" => Ok(None),
            text => resume(text)
                .map(Some)
                .ok_or_else(|| "not a cursor of this list".into()),
        };
        self.one("cursor", read).flatten()
    }

    /// The parameter `limit`: how long a page is, from 1 to `most`.
    pub fn limit(&mut self, most: usize) -> Option<usize> {
        self.one("limit", |text| {
            let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
            limit.ok_or_else(|| {
                let detail = format!("a limit is a number from 1 to {most}");
                Refusal::new(FieldErrorCode::Invalid, detail)
            })
        })
    }

    /// The parameter `name`, which is `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.one(name, |text| {
            text.parse().map_err(|_| "it is true or false".into())
        })
    }

    /// The parameter `name` as often as it was given, each read by `read`; refused ones are left out.
    pub fn many<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&str) -> Result<T, Refusal>,
    ) -> Vec<T> {
        let mut taken = Vec::new();
        for value in self.take(name) {
            match read(&value) {
                Ok(value) => taken.push(value),
                Err(refusal) => self.refuse(name, refusal),
            }
        }
        taken
    }

    /// Refuses a parameter for a reason that shows only when others are known.
    pub fn refuse(&mut self, name: &str, refusal: Refusal) {
        self.errors.push(FieldError {
            pointer: pointer(name),
            code: refusal.0,
            detail: refusal.1.into_owned(),
        });
    }

    /// # Errors
    /// All that was refused, and every parameter that nobody asked for.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.left) {
            let refusal = Refusal::new(FieldErrorCode::UnknownField, "there is no such parameter");
            self.refuse(&name, refusal);
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::fields(self.errors))
        }
    }

    fn take(&mut self, name: &str) -> Vec<String> {
        self.left
            .extract_if(.., |(given, _)| given == name)
            .map(|(_, value)| value)
            .collect()
    }
}

/// The parameter as an RFC 6901 pointer; a long name is cut.
fn pointer(name: &str) -> String {
    let name: String = name.chars().take(80).collect();
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}
