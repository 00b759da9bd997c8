//! `allowed_outbound_hosts`: which hosts a component may call, by Spin's rules.

use std::net::IpAddr;

use thiserror::Error;
use url::Host;

/// Why an entry of `allowed_outbound_hosts` is not one.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{entry}` is not an allowed host: {why}")]
pub struct AllowedHostError {
    entry: String,
    why: &'static str,
}

/// The hosts that a component may call.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts(Vec<AllowedHost>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct AllowedHost {
    /// `None` is any.
    scheme: Option<String>,
    host: HostPattern,
    ports: Ports,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// `.example.com`
    SubdomainOf(String),
    Network(IpAddr, u8),
    Name(Host),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ports {
    Any,
    /// From, up to but not including; as Spin reads `8000..9000`.
    Range(u16, u32),
}

impl AllowedHosts {
    /// Parses entries whose templates have been filled in. An entry that a template left empty allows nothing.
    pub fn parse(entries: impl IntoIterator<Item = String>) -> Result<Self, AllowedHostError> {
        entries
            .into_iter()
            .filter(|entry| !matches!(entry.as_str(), "" | "http://" | "https://"))
            .map(|entry| {
                AllowedHost::parse(entry.trim()).map_err(|why| AllowedHostError { entry, why })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a request may go there.
    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let Some(port) = port.or_else(|| default_port(scheme)) else {
            return false;
        };
        let Ok(host) = Host::parse(host) else {
            return false;
        };
        self.0
            .iter()
            .any(|allowed| allowed.allows(scheme, &host, port))
    }
}

impl AllowedHost {
    fn parse(entry: &str) -> Result<Self, &'static str> {
        let Some((scheme, rest)) = entry.split_once("://") else {
            return Err("it has the form <scheme>://<host>[:<port>], each may be `*`");
        };
        let scheme_pattern = match scheme {
            "*" => None,
            _ if scheme.chars().all(char::is_alphabetic) => Some(scheme.to_owned()),
            _ => return Err("the scheme is letters or `*`"),
        };
        // A CIDR's slash is not a path's; nor is an IPv6 address's colon a port's.
        let (host, ports) = match rest.rsplit_once(':') {
            Some((host, tail)) if HostPattern::parse(rest).is_err() => {
                (host, tail.strip_suffix('/').unwrap_or(tail))
            }
            _ => (rest, ""),
        };
        let ports = match ports {
            "" => match default_port(scheme) {
                Some(port) => Ports::Range(port, u32::from(port) + 1),
                None => return Err("the scheme has no default port: name one, or `*`"),
            },
            "*" => Ports::Any,
            _ if ports.contains('/') => return Err("it has no path"),
            _ => match ports.split_once("..") {
                Some((from, to)) => match (from.parse(), to.parse::<u16>()) {
                    (Ok(from), Ok(to)) if from < to => Ports::Range(from, u32::from(to)),
                    _ => return Err("a range of ports is <from>..<up to, not including>"),
                },
                None => match ports.parse::<u16>() {
                    Ok(port) => Ports::Range(port, u32::from(port) + 1),
                    Err(_) => return Err("the port is a number, a range or `*`"),
                },
            },
        };
        Ok(Self {
            scheme: scheme_pattern,
            host: HostPattern::parse(host)?,
            ports,
        })
    }

    fn allows(&self, scheme: &str, host: &Host, port: u16) -> bool {
        self.scheme.as_deref().is_none_or(|own| own == scheme)
            && self.host.allows(host)
            && match self.ports {
                Ports::Any => true,
                Ports::Range(from, to) => (u32::from(from)..to).contains(&u32::from(port)),
            }
    }
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self, &'static str> {
        if host == "*" {
            return Ok(Self::Any);
        }
        if host == "self" || host == "self.alt" {
            return Err("the host has no calls to itself");
        }
        if let Some(network) = parse_network(host) {
            return Ok(network);
        }
        let host = host.strip_suffix('/').unwrap_or(host);
        if host.contains('/') {
            return Err("it has no path");
        }
        if host.ends_with(".spin.internal") {
            return Err("the host has no service chaining");
        }
        if let Some(domain) = host.strip_prefix("*.") {
            return match Host::parse(domain) {
                Ok(Host::Domain(domain)) if !domain.contains('*') => {
                    Ok(Self::SubdomainOf(format!(".{domain}")))
                }
                _ => Err("`*.` stands before a domain"),
            };
        }
        if host.contains('*') {
            return Err("a wildcard is the whole host or its first label");
        }
        Host::parse(host)
            .map(Self::Name)
            .map_err(|_| "the host is not valid")
    }

    fn allows(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::SubdomainOf(suffix), Host::Domain(domain)) => domain.ends_with(suffix),
            (Self::Network(network, bits), Host::Ipv4(ip)) => within(*network, *bits, (*ip).into()),
            (Self::Network(network, bits), Host::Ipv6(ip)) => within(*network, *bits, (*ip).into()),
            (Self::Name(own), _) => own == host,
            (Self::SubdomainOf(_) | Self::Network(..), _) => false,
        }
    }
}

fn parse_network(text: &str) -> Option<HostPattern> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    (bits <= width).then_some(HostPattern::Network(address, bits))
}

fn within(network: IpAddr, bits: u8, ip: IpAddr) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        u32::from(bits) == 0 || (a ^ b) >> (width - u32::from(bits)) == 0
    };
    match (network, ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "redis" => Some(6379),
        "postgres" => Some(5432),
        "mysql" => Some(3306),
        "mqtt" => Some(1883),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line: the entries, then URLs that they allow (`+`) or not (`-`).
    #[test]
    fn rules() {
        for (entries, urls) in [
            (
                "http://127.0.0.1:3020",
                "+http://127.0.0.1:3020 -http://127.0.0.1:3021 -https://127.0.0.1:3020",
            ),
            (
                "http://127.0.0.1:3020",
                "-http://localhost:3020 -http://127.0.0.1 -http://127.0.0.2:3020",
            ),
            (
                "http://127.0.0.1:3020/",
                "+http://127.0.0.1:3020 -http://127.0.0.1:302",
            ),
            (
                "https://example.com",
                "+https://example.com +https://example.com:443 -https://example.com:444",
            ),
            (
                "https://example.com",
                "+https://EXAMPLE.com -https://a.example.com -http://example.com:443",
            ),
            (
                "https://*.example.com",
                "+https://a.example.com +https://a.b.example.com -https://example.com -https://badexample.com",
            ),
            (
                "*://example.com:*",
                "+http://example.com:1 +https://example.com:2 -http://example.org:1",
            ),
            (
                "*://*:*",
                "+http://[::1]:80 +redis://x:1 +http://10.0.0.1:99",
            ),
            (
                "http://*:8000..8010",
                "+http://a:8000 +http://a:8009 -http://a:8010 -http://a:7999",
            ),
            ("http://*:65000..65535", "+http://a:65534 -http://a:65535"),
            (
                "http://10.1.0.0/16:80",
                "+http://10.1.255.3 -http://10.2.0.1 -http://example.com",
            ),
            ("http://0.0.0.0/0:80", "+http://10.1.255.3 -http://[::1]"),
            ("http://[::1]:3020", "+http://[::1]:3020 -http://[::2]:3020"),
            ("http://a http://b:81", "+http://a +http://b:81 -http://b"),
            ("", "-http://a"),
        ] {
            let hosts = AllowedHosts::parse(entries.split(' ').map(str::to_owned)).unwrap();
            for case in urls.split(' ') {
                let (sign, url) = case.split_at(1);
                let uri: http::Uri = url.parse().unwrap();
                let allowed = hosts.allows(
                    uri.scheme_str().unwrap(),
                    uri.host().unwrap(),
                    uri.port_u16(),
                );
                assert_eq!(allowed, sign == "+", "{url} by {entries:?}");
            }
        }
    }

    #[test]
    fn entries_that_are_wrong() {
        for (entry, why) in [
            (
                "*",
                "it has the form <scheme>://<host>[:<port>], each may be `*`",
            ),
            (
                "example.com",
                "it has the form <scheme>://<host>[:<port>], each may be `*`",
            ),
            ("h2c+x://a:1", "the scheme is letters or `*`"),
            (
                "*://example.com",
                "the scheme has no default port: name one, or `*`",
            ),
            ("http://example.com:80/path", "it has no path"),
            ("http://example.com/path", "it has no path"),
            (
                "http://a.*.com:80",
                "a wildcard is the whole host or its first label",
            ),
            ("http://a:x", "the port is a number, a range or `*`"),
            (
                "http://a:90..80",
                "a range of ports is <from>..<up to, not including>",
            ),
            ("http://self", "the host has no calls to itself"),
            ("http://b.spin.internal", "the host has no service chaining"),
        ] {
            let error = AllowedHosts::parse([entry.to_owned()]).unwrap_err();
            assert_eq!(
                error,
                AllowedHostError {
                    entry: entry.to_owned(),
                    why
                },
                "{entry}"
            );
        }
    }
}
