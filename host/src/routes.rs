//! Route matching as Spin's HTTP trigger does it: exact segments, `:name` for one segment, `/...` for the rest;
//! the most specific route wins, whatever the order in the manifest.

use std::cmp::Ordering;

use thiserror::Error;

/// The paths that the host answers itself.
pub const WELL_KNOWN_PREFIX: &str = "/.well-known/spin/";

/// Why a set of routes cannot be served.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// Two triggers have the same route.
    #[error("the route `{route}` is given twice: to `{first}` and to `{second}`")]
    Duplicate {
        /// The route.
        route: String,
        /// The component of the first trigger.
        first: String,
        /// The component of the second trigger.
        second: String,
    },
    /// The host answers these paths itself.
    #[error("the route `{0}` of `{1}` is reserved: the host answers {WELL_KNOWN_PREFIX} itself")]
    Reserved(String, String),
    /// A route cannot be understood.
    #[error("the route `{route}` of `{component}` is not valid: {why}")]
    Invalid {
        /// The route.
        route: String,
        /// The component it leads to.
        component: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// One segment of a route; a later variant is more specific.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// Everything that follows, also nothing.
    Rest,
    /// One segment, captured by name.
    Parameter(String),
    /// These very characters.
    Exact(String),
}

/// A route of the manifest.
#[derive(Clone, Debug)]
pub struct Route {
    raw: String,
    based: String,
    component: String,
    segments: Vec<Segment>,
}

impl Route {
    fn parse(raw: &str, component: &str) -> Result<Self, RouteError> {
        let invalid = |why| RouteError::Invalid {
            route: raw.to_owned(),
            component: component.to_owned(),
            why,
        };
        let absolute = if raw.starts_with('/') {
            raw.to_owned()
        } else {
            format!("/{raw}")
        };
        let based = absolute.strip_suffix('/').unwrap_or(&absolute).to_owned();
        let (path, open) = match based
            .strip_suffix("/...")
            .or_else(|| based.strip_suffix("/*"))
        {
            Some(path) => (path, true),
            None => (based.as_str(), false),
        };
        let mut segments = Vec::new();
        for part in path.split('/').skip(1) {
            segments.push(match part.strip_prefix(':') {
                Some("") => return Err(invalid("`:` needs a name")),
                Some(name)
                    if name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') =>
                {
                    Segment::Parameter(name.to_owned())
                }
                Some(_) => {
                    return Err(invalid(
                        "a parameter's name is letters, digits, `-` and `_`",
                    ));
                }
                None if part.is_empty() => return Err(invalid("a segment is empty")),
                None if part.contains('*') || part == "..." => {
                    return Err(invalid("a wildcard stands only at the end, as `/...`"));
                }
                None => Segment::Exact(part.to_owned()),
            });
        }
        if open {
            segments.push(Segment::Rest);
        }
        Ok(Self {
            raw: raw.to_owned(),
            based,
            component: component.to_owned(),
            segments,
        })
    }

    /// The route as the manifest has it.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The route with a leading slash and without a trailing one.
    pub fn based(&self) -> &str {
        &self.based
    }

    /// The route as the manifest has it, without its trailing wildcard.
    pub fn prefix(&self) -> &str {
        self.raw.strip_suffix("/...").unwrap_or(&self.raw)
    }

    /// The component that it leads to.
    pub fn component(&self) -> &str {
        &self.component
    }

    fn specificity(&self, other: &Self) -> Ordering {
        // A route that ends here is more specific than one that goes on with a wildcard.
        let rank = |segment: Option<&Segment>| match segment {
            Some(Segment::Rest) => 0,
            Some(Segment::Parameter(_)) => 1,
            Some(Segment::Exact(_)) => 2,
            None => 3,
        };
        let length = self.segments.len().max(other.segments.len());
        (0..length)
            .map(|i| rank(self.segments.get(i)).cmp(&rank(other.segments.get(i))))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    fn matches<'p>(&self, path: &'p str) -> Option<Captures<'p>> {
        let trimmed = path.trim_matches('/');
        let mut rest = (!trimmed.is_empty()).then_some(trimmed);
        let mut parameters = Vec::new();
        for segment in &self.segments {
            if *segment == Segment::Rest {
                let slash = if path.ends_with('/') { "/" } else { "" };
                let path_info = match rest {
                    Some(rest) => format!("/{rest}{slash}"),
                    None => slash.to_owned(),
                };
                return Some(Captures {
                    path_info,
                    parameters,
                });
            }
            let (part, tail) = match rest?.split_once('/') {
                Some((part, tail)) => (part, Some(tail)),
                None => (rest?, None),
            };
            match segment {
                Segment::Exact(expected) if expected == part => {}
                Segment::Parameter(name) if !part.is_empty() => {
                    parameters.push((name.clone(), part))
                }
                _ => return None,
            }
            rest = tail;
        }
        rest.is_none().then(|| Captures {
            path_info: String::new(),
            parameters,
        })
    }
}

struct Captures<'p> {
    path_info: String,
    parameters: Vec<(String, &'p str)>,
}

/// A path that leads somewhere.
#[derive(Debug)]
pub struct RouteMatch<'r, 'p> {
    /// The route that matched.
    pub route: &'r Route,
    /// What the trailing wildcard stands for.
    pub path_info: String,
    /// What each `:name` stands for.
    pub parameters: Vec<(String, &'p str)>,
}

/// All routes of an application, the most specific first.
#[derive(Clone, Debug, Default)]
pub struct Router {
    routes: Vec<Route>,
}

impl Router {
    /// Takes (route, component) pairs.
    pub fn new<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RouteError> {
        let mut routes: Vec<Route> = Vec::new();
        for (raw, component) in pairs {
            let route = Route::parse(raw, component)?;
            if route.based.starts_with(WELL_KNOWN_PREFIX) {
                return Err(RouteError::Reserved(route.raw, route.component));
            }
            if let Some(first) = routes.iter().find(|other| other.based == route.based) {
                return Err(RouteError::Duplicate {
                    route: route.raw,
                    first: first.component.clone(),
                    second: route.component,
                });
            }
            routes.push(route);
        }
        routes.sort_by(|a, b| b.specificity(a));
        Ok(Self { routes })
    }

    /// The most specific route for a path.
    pub fn find<'r, 'p>(&'r self, path: &'p str) -> Option<RouteMatch<'r, 'p>> {
        self.routes.iter().find_map(|route| {
            route.matches(path).map(|captures| RouteMatch {
                route,
                path_info: captures.path_info,
                parameters: captures.parameters,
            })
        })
    }

    /// The routes, the most specific first.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line: routes, path, expected `component` or `component path_info name=value…`, `-` for none.
    #[test]
    fn matching() {
        for (routes, path, expected) in [
            ("/foo", "/foo", "/foo"),
            ("/foo", "/foo/", "/foo"),
            ("/foo", "/foo/bar", "-"),
            ("/foo", "/fo", "-"),
            ("foo", "/foo", "foo"),
            ("/", "/", "/"),
            ("/", "/foo", "-"),
            ("/...", "/", "/... /"),
            ("/...", "/a/b", "/... /a/b"),
            ("/foo/...", "/foo", "/foo/..."),
            ("/foo/...", "/foo/", "/foo/... /"),
            ("/foo/...", "/foo/bar", "/foo/... /bar"),
            ("/foo/...", "/foo/bar/", "/foo/... /bar/"),
            ("/foo/...", "/foobar", "-"),
            ("/foo/*", "/foo/bar", "/foo/* /bar"),
            (
                "/one/... /one/two/...",
                "/one/two/three",
                "/one/two/... /three",
            ),
            (
                "/one/two/... /one/...",
                "/one/two/three",
                "/one/two/... /three",
            ),
            ("/one/... /one", "/one", "/one"),
            ("/:id /me", "/me", "/me"),
            ("/:id /me", "/you", "/:id id=you"),
            ("/:id/... /:id", "/you", "/:id id=you"),
            ("/a/:id/... /a/...", "/a/7/x", "/a/:id/... /x id=7"),
            ("/a/:id/b", "/a//b", "-"),
            ("/a/:x/:y", "/a/1/2", "/a/:x/:y x=1 y=2"),
            (
                "/...  /api/tasks/...",
                "/api/tasks/7/complete",
                "/api/tasks/... /7/complete",
            ),
            ("/api/tasks", "/api/tasks%2F7", "-"),
        ] {
            let pairs = routes.split_whitespace().map(|route| (route, route));
            let router = Router::new(pairs).unwrap();
            let found = match router.find(path) {
                None => "-".to_owned(),
                Some(found) => {
                    let mut text = found.route.component().to_owned();
                    if !found.path_info.is_empty() {
                        text = format!("{text} {}", found.path_info);
                    }
                    for (name, value) in found.parameters {
                        text = format!("{text} {name}={value}");
                    }
                    text
                }
            };
            assert_eq!(found, expected, "{path} among {routes}");
        }
    }

    #[test]
    fn routes_that_cannot_be() {
        for (routes, expected) in [
            (
                "/a /a",
                "the route `/a` is given twice: to `/a` and to `/a`",
            ),
            ("/a/ a", "the route `a` is given twice: to `/a/` and to `a`"),
            (
                "/a//b",
                "the route `/a//b` of `/a//b` is not valid: a segment is empty",
            ),
            (
                "/:",
                "the route `/:` of `/:` is not valid: `:` needs a name",
            ),
            (
                "/*/a",
                "the route `/*/a` of `/*/a` is not valid: a wildcard stands only at the end, as `/...`",
            ),
        ] {
            let pairs = routes.split_whitespace().map(|route| (route, route));
            assert_eq!(Router::new(pairs).unwrap_err().to_string(), expected);
        }
        assert!(matches!(
            Router::new([("/.well-known/spin/x", "a")]),
            Err(RouteError::Reserved(..))
        ));
    }
}
