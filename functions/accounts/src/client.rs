//! Who asks: the address of the client, the name of its device, the page that it shows, and its cookie.

use axum::extract::FromRequestParts;
use docket_domain::account::session::{LONGEST_SECONDS, RefreshToken};
use docket_domain::client::network;
use docket_service::browser::is_loopback;
use docket_service::{Code, Problem, Runtime};
use http::header::{COOKIE, HOST, ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{App, Place};

/// The cookie that holds the refresh token.
const COOKIE_NAME: &str = "docket_refresh";
/// The path below which browsers send it.
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
            token: headers.get_all(COOKIE).iter().find_map(of_cookie),
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
    pub fn cookie(&self, token: &RefreshToken, seconds: u32) -> Option<HeaderValue> {
        self.header(&token.text(), seconds)
    }

    /// The cookie that ends the one that there is.
    pub fn no_cookie(&self) -> Option<HeaderValue> {
        self.header("", 0)
    }

    /// RFC 6265, and `SameSite` as its successor has it. On loopback there is no TLS, and some clients keep `Secure`
    /// cookies from there.
    fn header(&self, value: &str, seconds: u32) -> Option<HeaderValue> {
        let secure = if is_loopback(&self.host) {
            ""
        } else {
            "; Secure"
        };
        let seconds = i64::from(seconds).min(LONGEST_SECONDS);
        let text = format!(
            "{COOKIE_NAME}={value}; Path={COOKIE_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
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

/// The refresh token in a `Cookie` header. The other cookies are of whoever else is at the host, and need be no text.
fn of_cookie(header: &HeaderValue) -> Option<RefreshToken> {
    let mut pairs = header.as_bytes().split(|byte| *byte == b';');
    pairs.find_map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?.trim();
        RefreshToken::parse(pair.strip_prefix(COOKIE_NAME)?.strip_prefix('=')?)
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
    fn our_cookie_is_found_among_those_of_others() {
        let token = format!("ann.0000000000007.{}", "A".repeat(43));
        for (before, after, found) in [
            ("", "", true),
            ("a=b; ", "; c=d", true),
            ("a=\u{fc};", ";b=\u{1f36a}", true),
            ("docket_refresh=; docket_refresh2=x; ", "", true),
            ("x", "", false),
            ("", "x", false),
        ] {
            let header = format!("{before}docket_refresh={token}{after}");
            let header = HeaderValue::from_bytes(header.as_bytes()).unwrap();
            let read = of_cookie(&header).map(|token| token.text());
            assert_eq!(read, found.then(|| token.clone()), "{header:?}");
        }
        let header = format!("a=\u{fc}; docket_refresh={token}");
        let mut bytes = header.into_bytes();
        bytes[2] = 0xff;
        let header = HeaderValue::from_bytes(&bytes).unwrap();
        assert!(of_cookie(&header).is_some());
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
                host: host.to_owned(),
            };
            let cookie = client.no_cookie().unwrap();
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
