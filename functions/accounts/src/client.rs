//! Who asks: the address of the client, the name of its device, the page that it shows, and its cookies.

use axum::extract::FromRequestParts;
use docket_domain::account::device::{KNOWN_SECONDS, Marks};
use docket_domain::account::session::{LONGEST_SECONDS, RefreshToken};
use docket_domain::client::network;
use docket_service::browser::is_loopback;
use docket_service::{Code, Problem, Runtime};
use http::header::{COOKIE, HOST, ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{App, Place};

/// The cookie that holds the refresh token.
const SESSION: &str = "docket_refresh";
/// The cookie that holds the marks of a device that somebody has signed in on.
const DEVICE: &str = "docket_device";
/// The path below which browsers send them.
const COOKIE_PATH: &str = "/api/auth";

/// Who asks.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address that limits count by: of IPv6 the /64, since whoever has one address has all of that.
    pub address: String,
    /// What the device calls itself; empty if it does not.
    pub device: String,
    /// The refresh token of its cookie.
    pub token: Option<RefreshToken>,
    /// The marks of its device.
    pub marks: Marks,
    /// The host that was asked, with its port.
    host: String,
}

impl<R: Runtime> FromRequestParts<App<R>> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App<R>) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let host = parts.uri.authority().map(ToString::to_string);
        let host = host.unwrap_or_else(|| text(headers, HOST).to_owned());
        if let Some(origin) = headers.get(ORIGIN) {
            refuse_other_pages(origin, &host, &app.place)?;
        }
        // The host says who asks, and proxies of ours do.
        let peer = text(headers, HeaderName::from_static("spin-client-addr"));
        let forwarded = headers.get_all("x-forwarded-for").iter();
        let forwarded = forwarded.map(HeaderValue::as_bytes);
        Ok(Self {
            address: network(peer, forwarded, app.place.trusted_proxies),
            device: text(headers, USER_AGENT).to_owned(),
            token: cookies(headers, SESSION).find_map(RefreshToken::parse),
            marks: cookies(headers, DEVICE)
                .map(Marks::parse)
                .find(|marks| !marks.is_empty())
                .unwrap_or_default(),
            host,
        })
    }
}

/// Refuses what a page of somebody else's has a browser ask. (`SameSite=Strict` keeps the cookie from such pages
/// already; this is for what does not know it, and for other ports of the same host.)
fn refuse_other_pages(origin: &HeaderValue, host: &str, place: &Place) -> Result<(), Problem> {
    let text = origin.to_str().unwrap_or_default();
    let of_host = text.split_once("://").map(|(_, host)| host);
    if of_host == Some(host) || text == place.public_url || place.origins.allow(origin) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Forbidden,
        "the page that asks is not one of Docket's",
    ))
}

impl Client {
    /// The cookie that brings `token` back for so many seconds.
    pub fn session_cookie(&self, token: &RefreshToken, seconds: u32) -> Option<HeaderValue> {
        self.cookie(
            SESSION,
            &token.text(),
            i64::from(seconds).min(LONGEST_SECONDS),
        )
    }

    /// The cookie that ends the one of the session.
    pub fn no_session_cookie(&self) -> Option<HeaderValue> {
        self.cookie(SESSION, "", 0)
    }

    /// The cookie by which the device is known.
    pub fn device_cookie(&self, marks: &Marks) -> Option<HeaderValue> {
        self.cookie(DEVICE, &marks.text(), i64::from(KNOWN_SECONDS))
    }

    /// RFC 6265, and `SameSite` as its successor has it. On loopback there is no TLS, and some clients keep `Secure`
    /// cookies from there.
    fn cookie(&self, name: &str, value: &str, seconds: i64) -> Option<HeaderValue> {
        let secure = if is_loopback(&self.host) {
            ""
        } else {
            "; Secure"
        };
        let text = format!(
            "{name}={value}; Path={COOKIE_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
        );
        let mut header = HeaderValue::from_str(&text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// What cookies of this name hold. The other cookies are of whoever else is at the host, and need be no text.
fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let headers = headers.get_all(COOKIE).iter();
    let pairs = headers.flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let pair = std::str::from_utf8(pair).ok()?.trim();
        pair.strip_prefix(name)?.strip_prefix('=')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_pages_are_refused() {
        let public_url = "https://docket.example.org";
        let place = Place::read(public_url, "0", "10", "https://app.example.com").unwrap();
        for (host, origin, fits) in [
            ("127.0.0.1:3000", "http://127.0.0.1:3000", true),
            ("127.0.0.1:3000", "http://127.0.0.1:3001", false),
            ("127.0.0.1:3000", "null", false),
            ("127.0.0.1:3000", "", false),
            ("inner:80", "https://docket.example.org", true),
            ("inner:80", "https://docket.example.org.evil.org", false),
            // A configured site.
            ("inner:80", "https://app.example.com", true),
            ("inner:80", "http://app.example.com", false),
            ("inner:80", "https://app.example.com:8443", false),
        ] {
            let origin = HeaderValue::from_static(origin);
            let outcome = refuse_other_pages(&origin, host, &place);
            assert_eq!(outcome.is_ok(), fits, "{host} {origin:?}");
        }
    }

    #[test]
    fn our_cookies_are_found_among_those_of_others() {
        for (before, after, expected) in [
            (&b""[..], &b""[..], &["x"][..]),
            (b"a=b; ", b"; c=d", &["x"]),
            (b"a=\xc3\xbc;", b";b=\xff", &["x"]),
            (b"a=\xff; ", b";", &["x"]),
            (
                b"docket=y; docket_refresh2=y; docket_device2=y; ",
                b"",
                &["x"],
            ),
            (b"docket_refresh=; docket_device=; ", b"", &["", "x"]),
            (b"x", b"", &[]),
            (b"", b"\xff", &[]),
        ] {
            for name in [SESSION, DEVICE] {
                let header = [before, name.as_bytes(), b"=x", after].concat();
                let header = HeaderValue::from_bytes(&header).unwrap();
                let headers = HeaderMap::from_iter([(COOKIE, header.clone())]);
                let found: Vec<&str> = cookies(&headers, name).collect();
                assert_eq!(found, expected, "{header:?}");
            }
        }
    }

    #[test]
    fn the_cookie_is_secure_outside_of_loopback() {
        for (host, secure) in [
            ("127.0.0.1:3000", false),
            ("[::1]:3000", false),
            ("localhost", false),
            ("docket.localhost:3000", false),
            ("docket.example.org", true),
            ("localhost.example.org:80", true),
            ("", true),
        ] {
            let client = Client {
                address: String::new(),
                device: String::new(),
                token: None,
                marks: Marks::default(),
                host: host.to_owned(),
            };
            let cookie = client.no_session_cookie().unwrap();
            assert!(cookie.is_sensitive());
            let cookie = cookie.to_str().unwrap();
            assert_eq!(cookie.contains("; Secure"), secure, "{host}");
            assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
            assert!(
                cookie.starts_with("docket_refresh=; Path=/api/auth; Max-Age=0;"),
                "{cookie}"
            );
        }
    }
}
