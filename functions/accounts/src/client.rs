//! Who asks: the address of the client, the name of its device, the page that it shows, and its cookie.

use axum::extract::FromRequestParts;
use docket_domain::account::session::{LONGEST_SECONDS, RefreshToken};
use docket_service::{Code, Problem, Runtime};
use http::header::{COOKIE, HOST, ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::App;

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
    origin: Option<String>,
}

impl<R: Runtime> FromRequestParts<App<R>> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App<R>) -> Result<Self, Infallible> {
        let headers = &parts.headers;
        let host = parts.uri.authority().map(ToString::to_string);
        Ok(Self {
            address: address(headers, app.place.trusted_proxies),
            device: text(headers, USER_AGENT).to_owned(),
            token: headers.get_all(COOKIE).iter().find_map(of_cookie),
            host: host.unwrap_or_else(|| text(headers, HOST).to_owned()),
            origin: headers
                .get(ORIGIN)
                .map(|_| text(headers, ORIGIN).to_owned()),
        })
    }
}

impl Client {
    /// Refuses what a page of somebody else's has a browser ask. (`SameSite=Strict` keeps the cookie from such pages
    /// already; this is for what does not know it, and for other ports of the same host.)
    ///
    /// # Errors
    /// `forbidden`.
    pub fn refuse_other_pages(&self, public_url: &str) -> Result<(), Problem> {
        let Some(origin) = &self.origin else {
            return Ok(());
        };
        let host = origin.split_once("://").map(|(_, host)| host);
        if host == Some(self.host.as_str()) || origin == public_url {
            return Ok(());
        }
        Err(Problem::new(
            Code::Forbidden,
            "the page that asks is not one of Docket's",
        ))
    }

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

fn text(headers: &HeaderMap, name: http::HeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// The refresh token in a `Cookie` header.
fn of_cookie(header: &HeaderValue) -> Option<RefreshToken> {
    let pairs = header.to_str().ok()?.split(';');
    let values = pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='));
    values.into_iter().find_map(RefreshToken::parse)
}

/// Where a request comes from: the host tells it, and the proxies that are trusted, each of which has put the address
/// before its own at the end of the list.
fn address(headers: &HeaderMap, trusted_proxies: usize) -> String {
    let peer = text(headers, http::HeaderName::from_static("spin-client-addr"));
    let forwarded = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','));
    let forwarded: Vec<&str> = forwarded.map(str::trim).collect();
    let by_proxies = trusted_proxies
        .checked_sub(1)
        .and_then(|back| forwarded.iter().rev().nth(back));
    let told = by_proxies.copied().unwrap_or(peer);
    let address = match told.parse::<SocketAddr>() {
        Ok(address) => Some(address.ip()),
        Err(_) => told.parse::<IpAddr>().ok(),
    };
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let network = address.to_bits() >> 64 << 64;
            format!("{}/64", Ipv6Addr::from_bits(network))
        }
        None => "unknown".to_owned(),
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_whom_the_host_or_a_trusted_proxy_tells() {
        for (peer, forwarded, proxies, expected) in [
            ("127.0.0.1:4711", &[][..], 0, "127.0.0.1"),
            ("127.0.0.1:4711", &["9.9.9.9"], 0, "127.0.0.1"),
            ("127.0.0.1:4711", &["9.9.9.9"], 1, "9.9.9.9"),
            // What stands before was sent by the client itself.
            ("127.0.0.1:4711", &["6.6.6.6, 9.9.9.9"], 1, "9.9.9.9"),
            ("127.0.0.1:4711", &["6.6.6.6", "9.9.9.9"], 1, "9.9.9.9"),
            (
                "127.0.0.1:4711",
                &["6.6.6.6, 9.9.9.9, 10.0.0.1"],
                2,
                "9.9.9.9",
            ),
            ("127.0.0.1:4711", &[], 1, "127.0.0.1"),
            ("[2001:db8:1:2:3:4:5:6]:80", &[], 0, "2001:db8:1:2::/64"),
            ("[::ffff:9.9.9.9]:80", &[], 0, "9.9.9.9"),
            ("1.1.1.1:1", &["nonsense"], 1, "unknown"),
            ("", &[], 0, "unknown"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("spin-client-addr", HeaderValue::from_str(peer).unwrap());
            for list in forwarded {
                headers.append("x-forwarded-for", HeaderValue::from_static(list));
            }
            assert_eq!(
                address(&headers, proxies),
                expected,
                "{peer} {forwarded:?} {proxies}"
            );
        }
    }

    fn client(host: &str, origin: Option<&str>) -> Client {
        Client {
            address: String::new(),
            device: String::new(),
            token: None,
            host: host.to_owned(),
            origin: origin.map(str::to_owned),
        }
    }

    #[test]
    fn other_pages_are_refused() {
        for (host, origin, fits) in [
            ("127.0.0.1:3000", None, true),
            ("127.0.0.1:3000", Some("http://127.0.0.1:3000"), true),
            ("127.0.0.1:3000", Some("http://127.0.0.1:3001"), false),
            ("127.0.0.1:3000", Some("null"), false),
            ("127.0.0.1:3000", Some(""), false),
            ("inner:80", Some("https://docket.example.org"), true),
            (
                "inner:80",
                Some("https://docket.example.org.evil.org"),
                false,
            ),
        ] {
            let outcome = client(host, origin).refuse_other_pages("https://docket.example.org");
            assert_eq!(outcome.is_ok(), fits, "{host} {origin:?}");
        }
    }

    #[test]
    fn the_cookie_is_secure_outside_of_loopback() {
        for (host, secure) in [
            ("127.0.0.1:3000", false),
            ("[::1]:3000", false),
            ("localhost", false),
            ("docket.example.org", true),
            ("localhost.example.org:80", true),
            ("", true),
        ] {
            let cookie = client(host, None).no_cookie().unwrap();
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
