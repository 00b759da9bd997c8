//! Whose requests are counted together: a client's network address, from what the host and proxies tell of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Where a request comes from, as text: `peer`, which the host tells (with or without a port), or what the outermost of so
/// many `proxies` of one's own has put into `X-Forwarded-For`, each of whose values is one of `forwarded`. Each proxy puts the
/// address before its own at the end; whatever stands before those was sent by the client. Of IPv6 it is the /64, since
/// whoever has one address has all of that; it is `unknown` if there is no address.
pub fn network<'a>(
    peer: &str,
    forwarded: impl IntoIterator<Item = &'a [u8]>,
    proxies: usize,
) -> String {
    // Bytes: what a client sends before them need be no text, and the proxies' own words count all the same.
    let lists = forwarded.into_iter();
    let forwarded: Vec<&[u8]> = lists
        .flat_map(|list| list.split(|byte| *byte == b','))
        .collect();
    let by_proxies = proxies
        .checked_sub(1)
        .and_then(|back| forwarded.iter().rev().nth(back));
    let told = match by_proxies {
        Some(told) => std::str::from_utf8(told).unwrap_or_default().trim(),
        None => peer,
    };
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
            ("2001:db8:1:2:3:4:5:6", &[], 0, "2001:db8:1:2::/64"),
            ("[::ffff:9.9.9.9]:80", &[], 0, "9.9.9.9"),
            ("1.1.1.1:1", &["nonsense"], 1, "unknown"),
            ("", &[], 0, "unknown"),
        ] {
            let values = forwarded.iter().map(|value| value.as_bytes());
            assert_eq!(
                network(peer, values, proxies),
                expected,
                "{peer} {forwarded:?} {proxies}"
            );
        }
    }

    #[test]
    fn what_is_no_text_hides_nothing_that_a_proxy_tells() {
        for (forwarded, expected) in [
            (&b"\xff, 9.9.9.9"[..], "9.9.9.9"),
            (b"6.6.6.6, \xc3\xa4, 9.9.9.9", "9.9.9.9"),
            (b"\0,9.9.9.9", "9.9.9.9"),
            (b"9.9.9.9, \xff", "unknown"),
        ] {
            assert_eq!(
                network("127.0.0.1:4711", [forwarded], 1),
                expected,
                "{forwarded:?}"
            );
        }
    }
}
