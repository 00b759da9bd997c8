//! What browsers are told beside an answer: that it is data and no page, that it is nobody else's, and which other sites
//! may ask (CORS: <https://fetch.spec.whatwg.org/#http-cors-protocol>).

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use std::future::Future;
use std::net::IpAddr;

/// Whatever a browser takes an answer for, nothing in it is run, loaded or framed.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Two years. What else is at the domain is not ours to bind.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=63072000");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PATCH, DELETE");
const ASKED_WITH: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, x-request-id",
);
const TOLD: HeaderValue =
    HeaderValue::from_static("etag, location, retry-after, x-request-id, www-authenticate");
/// So long a browser need not ask again what it may ask, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");
/// What other sites may ask at all lies below this path.
const PUBLIC: &str = "/api/";

/// The sites whose scripts may ask the API in a person's browser, beside its own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origins(Vec<HeaderValue>);

/// What is not the origin of a site.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no origin, as `https://app.example.com` is one")]
pub struct NoOrigin(String);

impl Origins {
    /// Reads a list of origins (RFC 6454: scheme, host, and a port that is not the usual one) with commas between; an
    /// empty one has none.
    ///
    /// # Errors
    /// One is none; `*` and `null` are none, since whoever is asked answers with people's data.
    pub fn parse(list: &str) -> Result<Self, NoOrigin> {
        let origins = list.split(',').map(str::trim).filter(|one| !one.is_empty());
        origins.map(origin).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the page behind this `Origin` header is of a configured site.
    #[must_use]
    pub fn allow(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }

    /// Has `answer` answer a request, unless it is a browser's question whether it may ask, and adds what browsers are
    /// to know.
    pub async fn guard<B, F>(
        &self,
        request: Request<B>,
        answer: impl FnOnce(Request<B>) -> F,
    ) -> Response
    where
        F: Future<Output = Response>,
    {
        let tls = wants_tls(&request);
        let public = request.uri().path().starts_with(PUBLIC);
        let origin = request.headers().get(ORIGIN).cloned();
        let origin = origin.filter(|origin| public && self.allow(origin));
        let asks = request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let mut response = if asks && origin.is_some() {
            may_ask()
        } else {
            answer(request).await
        };
        let headers = response.headers_mut();
        protect(headers, tls);
        if public {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, TOLD);
        }
        response
    }
}

/// An origin as browsers write it.
fn origin(text: &str) -> Result<HeaderValue, NoOrigin> {
    let wrong = || NoOrigin(text.to_owned());
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or_else(wrong)?;
    let authority: Authority = host.parse().map_err(|_| wrong())?;
    let port = host.strip_prefix(authority.host()).unwrap_or(host);
    let usual = if text.starts_with("https") { 443 } else { 80 };
    // Any other spelling would be no browser's, and never be met.
    let is_port = |port: &str| {
        let number = port.parse::<u16>();
        number.is_ok_and(|number| number != usual && number.to_string() == port)
    };
    let plain = !host.contains('@')
        && !authority.host().is_empty()
        && host.chars().all(|c| !c.is_ascii_uppercase() && c != '*')
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    if plain {
        HeaderValue::from_str(text).map_err(|_| wrong())
    } else {
        Err(wrong())
    }
}

/// Yes: these methods, with these headers.
fn may_ask() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ASKED_WITH);
    headers.insert(ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    response
}

/// What a route has not said otherwise.
fn protect(headers: &mut HeaderMap, tls: bool) {
    for (name, value) in [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, POLICY),
        (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ] {
        headers.entry(name).or_insert(value);
    }
    if tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
}

/// Whether browsers are to come by TLS alone: to every host but this machine's own, unless a proxy says that they came
/// without (RFC 6797, section 7.2). The function itself never sees TLS, which ends before it.
fn wants_tls<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority: Option<Authority> = match host {
        Some(host) => host.parse().ok(),
        None => request.uri().authority().cloned(),
    };
    let without = headers
        .get(FORWARDED_PROTO)
        .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"http"));
    authority.is_some_and(|authority| !is_loopback(authority.as_str())) && !without
}

/// Whether a host, with or without a port, means the machine itself: an address of its loopback, `localhost`, or a name
/// below that, which browsers resolve to it without asking anybody (RFC 6761, section 6.3). What has anything else about it,
/// a user say, is no host (RFC 9110, section 7.2).
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let is_port = |port: &str| {
        port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok()
    };
    let plain = host
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    if !plain {
        return false;
    }
    let bracketed = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match bracketed {
        Some(address) => address.parse().ok().map(IpAddr::V6),
        None => name.parse().ok().map(IpAddr::V4),
    };
    match address {
        Some(address) => address.to_canonical().is_loopback(),
        None => {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            let name = name.to_ascii_lowercase();
            let own = name == "localhost" || name.ends_with(".localhost");
            own && name.bytes().all(letters)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    const SITE: &str = "https://app.example.com";

    /// Asks for `/api/tasks` with these headers; the answer's headers, and whether the route was asked.
    fn asked(
        origins: &str,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (Response, bool) {
        let origins = Origins::parse(origins).unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut reached = false;
        let answer = origins.guard(request.body(()).unwrap(), |_| {
            reached = true;
            async { Response::new(Body::from("{}")) }
        });
        let response = block_on(answer);
        (response, reached)
    }

    fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        let mut all = response.headers().get_all(name).iter();
        let value = all.next().map(|value| value.to_str().unwrap());
        assert!(all.next().is_none(), "{name} stands there twice");
        value
    }

    #[test]
    fn every_answer_is_data_and_nobody_elses() {
        for path in ["/api/tasks", "/internal/tasks/x", "/inbox"] {
            let (response, _) = asked("", &Method::GET, path, &[("host", "127.0.0.1:3000")]);
            for (name, value) in [
                ("cache-control", "no-store"),
                (
                    "content-security-policy",
                    "default-src 'none'; frame-ancestors 'none'",
                ),
                ("cross-origin-resource-policy", "same-origin"),
                ("referrer-policy", "no-referrer"),
                ("x-content-type-options", "nosniff"),
            ] {
                assert_eq!(header(&response, name), Some(value), "{path}");
            }
            assert_eq!(header(&response, "strict-transport-security"), None);
            assert_eq!(header(&response, "access-control-allow-origin"), None);
        }
    }

    #[test]
    fn a_route_may_say_otherwise() {
        let request = Request::get("/api/x").body(()).unwrap();
        let origins = Origins::default();
        let answer = origins.guard(request, |_| async {
            let mut response = Response::new(Body::empty());
            let value = HeaderValue::from_static("max-age=60");
            response.headers_mut().insert(CACHE_CONTROL, value);
            response
        });
        assert_eq!(
            header(&block_on(answer), "cache-control"),
            Some("max-age=60")
        );
    }

    #[test]
    fn browsers_are_to_come_by_tls_to_every_host_but_this_one() {
        for (host, proto, expected) in [
            ("docket.example", None, true),
            ("docket.example:8443", Some("https"), true),
            ("docket.example", Some("http"), false),
            ("10.0.0.7", None, true),
            ("localhost.example", None, true),
            ("localhost:3000", None, false),
            ("a.localhost", Some("https"), false),
            ("127.0.0.1", None, false),
            ("127.7.7.7:1", None, false),
            ("[::1]:3000", Some("https"), false),
            ("", None, false),
        ] {
            let mut headers = vec![("host", host)];
            headers.extend(proto.map(|proto| ("x-forwarded-proto", proto)));
            let (response, _) = asked("", &Method::GET, "/api/tasks", &headers);
            let told = header(&response, "strict-transport-security");
            assert_eq!(told.is_some(), expected, "{host} {proto:?}");
        }
    }

    #[test]
    fn the_machine_itself_has_some_names() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.7.7.7:3000", true),
            ("[::1]:3000", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("localhost", true),
            ("LocalHost:3000", true),
            ("docket.localhost:3000", true),
            ("localhost.example.org", false),
            ("mylocalhost", false),
            ("docket.example.org", false),
            ("128.0.0.1", false),
            ("127.0.0.1.example.org", false),
            ("[::2]:3000", false),
            ("[127.0.0.1]", false),
            ("me@localhost", false),
            ("example.org@[::1]:3000", false),
            ("localhost@localhost", false),
            ("localhost:99999", false),
            ("localhost:+80", false),
            ("localhost:8o", false),
            ("[].localhost", false),
            ("", false),
            ("no host", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn only_configured_sites_may_ask() {
        for (origin, path, allowed) in [
            (SITE, "/api/tasks", true),
            ("http://localhost:5173", "/api/tasks", true),
            ("https://app.example.com:8443", "/api/tasks", false),
            ("http://app.example.com", "/api/tasks", false),
            ("https://app.example.com.evil.example", "/api/tasks", false),
            ("null", "/api/tasks", false),
            (SITE, "/internal/tasks/outbox-sweep", false),
            (SITE, "/job/x", false),
        ] {
            let origins = format!("{SITE}, http://localhost:5173");
            for preflight in [false, true] {
                let mut headers = vec![("origin", origin)];
                let method = if preflight {
                    headers.push(("access-control-request-method", "DELETE"));
                    Method::OPTIONS
                } else {
                    Method::GET
                };
                let (response, reached) = asked(&origins, &method, path, &headers);
                let expected = allowed.then_some(origin);
                assert_eq!(header(&response, "access-control-allow-origin"), expected);
                let credentials = header(&response, "access-control-allow-credentials");
                assert_eq!(credentials, allowed.then_some("true"), "{origin}");
                let vary = path.starts_with("/api/").then_some("Origin");
                assert_eq!(header(&response, "vary"), vary);
                assert_eq!(reached, !(preflight && allowed), "{origin} {path}");
                let methods = header(&response, "access-control-allow-methods");
                assert_eq!(methods.is_some(), preflight && allowed);
            }
        }
    }

    #[test]
    fn an_options_that_asks_nothing_goes_to_the_route() {
        let (_, reached) = asked(SITE, &Method::OPTIONS, "/api/tasks", &[("origin", SITE)]);
        assert!(reached);
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        assert_eq!(Origins::parse(" ,").unwrap(), Origins::default());
        for wrong in [
            "*",
            "null",
            "app.example.com",
            "https://",
            "https://*.example.com",
            "https://app.example.com/",
            "https://app.example.com/x",
            "https://me@app.example.com",
            "https://App.example.com",
            "https://app.example.com:x",
            "https://app.example.com:99999",
            "https://app.example.com:+8443",
            "https://app.example.com:08443",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "ftp://app.example.com",
            "https://app.example.com https://b.example",
        ] {
            assert!(Origins::parse(wrong).is_err(), "{wrong}");
        }
    }
}
