//! How much one client may ask: changes, and requests that were refused for want of a token that counts.
//!
//! Functions count by account, in the state store. What they cannot count without a write for each request is what comes from
//! one address, whosever accounts it uses: that is counted here, where all requests come by, in memory. The machine's own
//! address is not counted: it is where sidecars are, and the proxies that `trusted_proxies` speaks of.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use docket_domain::Instant;
use docket_domain::client::network;
use docket_domain::rate::{Meter, Rate};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// How many addresses are known at once.
const MOST: usize = 100_000;

/// How much a client may ask within a minute; all of it may come at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallerLimits {
    /// Requests with methods that change something; any number if there is none.
    pub changes: Option<u32>,
    /// Requests that are answered with 401; any number if there is none.
    pub refusals: Option<u32>,
    /// How many proxies of one's own stand before the host.
    pub trusted_proxies: usize,
}

/// Those who ask.
#[derive(Debug)]
pub struct Callers {
    limits: CallerLimits,
    known: Mutex<HashMap<String, Asked>>,
}

/// What one of them has asked.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    changes: Meter,
    refusals: Meter,
}

impl Asked {
    fn is_idle(&self, now: Instant) -> bool {
        self.changes.is_idle(now) && self.refusals.is_idle(now)
    }
}

/// One who is counted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller(String);

impl Callers {
    /// Nobody has asked yet.
    pub fn new(limits: CallerLimits) -> Self {
        Self {
            limits,
            known: Mutex::default(),
        }
    }

    /// Who asks; nobody who is counted, if that is the machine itself, or there are no limits.
    pub fn find(&self, peer: SocketAddr, headers: &HeaderMap) -> Option<Caller> {
        if self.limits.changes.is_none() && self.limits.refusals.is_none() {
            return None;
        }
        let forwarded = headers.get_all("x-forwarded-for").iter();
        let forwarded = forwarded.map(HeaderValue::as_bytes);
        let address = network(&peer.to_string(), forwarded, self.limits.trusted_proxies);
        (!matches!(address.as_str(), "127.0.0.1" | "::/64")).then_some(Caller(address))
    }

    /// Takes in a request before it is answered.
    ///
    /// # Errors
    /// The caller has asked for too much: in how many seconds he may ask again.
    pub fn take(&self, caller: &Caller, method: &Method, now: Instant) -> Result<(), u32> {
        self.with(caller, now, |asked| {
            if let Some(count) = self.limits.refusals {
                // One more would be too many: whether this one is refused, nobody knows yet.
                let mut refusals = asked.refusals;
                refusals.take(minutely(count), 1, now)?;
            }
            match self.limits.changes {
                Some(count) if !method.is_safe() => asked.changes.take(minutely(count), 1, now),
                _ => Ok(()),
            }
        })
    }

    /// Notes what a request was answered with.
    pub fn note(&self, caller: &Caller, status: StatusCode, now: Instant) {
        if let Some(count) = self.limits.refusals
            && status == StatusCode::UNAUTHORIZED
        {
            self.with(caller, now, |asked| {
                // Those that were under way when it became too much count no further.
                let _ = asked.refusals.take(minutely(count), 1, now);
            });
        }
    }

    fn with<V>(&self, caller: &Caller, now: Instant, ask: impl FnOnce(&mut Asked) -> V) -> V {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&caller.0) {
            known.retain(|_, asked| !asked.is_idle(now));
            // Whoever has so many addresses is not stopped by counting them.
            if known.len() >= MOST {
                known.clear();
            }
        }
        ask(known.entry(caller.0.clone()).or_default())
    }
}

fn minutely(count: u32) -> Rate {
    Rate::new(count, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: CallerLimits = CallerLimits {
        changes: Some(3),
        refusals: Some(2),
        trusted_proxies: 0,
    };

    fn at(seconds: i64) -> Instant {
        Instant::from_millis(1_800_000_000_000 + seconds * 1_000).unwrap()
    }

    fn caller(callers: &Callers, peer: &str) -> Option<Caller> {
        callers.find(peer.parse().unwrap(), &HeaderMap::new())
    }

    #[test]
    fn the_machine_itself_is_not_counted() {
        let callers = Callers::new(FEW);
        for (peer, counted) in [
            ("127.0.0.1:4711", false),
            ("[::1]:4711", false),
            ("[::ffff:127.0.0.1]:4711", false),
            ("127.0.0.2:4711", true),
            ("9.9.9.9:4711", true),
            ("[2001:db8::1]:4711", true),
        ] {
            assert_eq!(caller(&callers, peer).is_some(), counted, "{peer}");
        }
        assert_eq!(
            caller(&Callers::new(CallerLimits::default()), "9.9.9.9:1"),
            None
        );
    }

    #[test]
    fn whom_a_proxy_tells_is_counted() {
        let behind = Callers::new(CallerLimits {
            trusted_proxies: 1,
            ..FEW
        });
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "9.9.9.9".parse().unwrap());
        let peer = "127.0.0.1:4711".parse().unwrap();
        assert_eq!(
            behind.find(peer, &headers),
            Some(Caller("9.9.9.9".to_owned()))
        );
        // What the client itself had sent before, whatever it is, hides nobody behind the proxy's address.
        let value = HeaderValue::from_bytes(b"\xff, 9.9.9.9").unwrap();
        headers.insert("x-forwarded-for", value);
        assert_eq!(
            behind.find(peer, &headers),
            Some(Caller("9.9.9.9".to_owned()))
        );
        // Without such a proxy anybody could say that.
        assert_eq!(Callers::new(FEW).find(peer, &headers), None);
    }

    #[test]
    fn changes_are_counted_for_each_and_reads_are_not() {
        let callers = Callers::new(FEW);
        let one = caller(&callers, "9.9.9.9:1").unwrap();
        // Another port is the same client.
        assert_eq!(caller(&callers, "9.9.9.9:2").unwrap(), one);
        for method in [Method::POST, Method::PATCH, Method::DELETE] {
            assert_eq!(callers.take(&one, &method, at(0)), Ok(()));
        }
        assert_eq!(callers.take(&one, &Method::POST, at(0)), Err(20));
        assert_eq!(callers.take(&one, &Method::GET, at(0)), Ok(()));
        let other = caller(&callers, "9.9.9.8:1").unwrap();
        assert_eq!(callers.take(&other, &Method::POST, at(0)), Ok(()));
        assert_eq!(callers.take(&one, &Method::POST, at(20)), Ok(()));
    }

    #[test]
    fn who_is_refused_too_often_is_heard_no_more_for_a_while() {
        let callers = Callers::new(FEW);
        let one = caller(&callers, "9.9.9.9:1").unwrap();
        for status in [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::FORBIDDEN] {
            callers.note(&one, status, at(0));
        }
        for _ in 0..2 {
            assert_eq!(callers.take(&one, &Method::GET, at(0)), Ok(()));
            callers.note(&one, StatusCode::UNAUTHORIZED, at(0));
        }
        assert_eq!(callers.take(&one, &Method::GET, at(0)), Err(30));
        callers.note(&one, StatusCode::UNAUTHORIZED, at(0));
        assert_eq!(callers.take(&one, &Method::GET, at(29)), Err(1));
        assert_eq!(callers.take(&one, &Method::GET, at(30)), Ok(()));
    }

    #[test]
    fn so_many_are_known_and_no_more() {
        let callers = Callers::new(FEW);
        for n in 0..u32::try_from(MOST).unwrap() + 10 {
            let caller = Caller(n.to_string());
            assert_eq!(callers.take(&caller, &Method::POST, at(0)), Ok(()));
        }
        assert!(callers.known.lock().unwrap().len() <= MOST);
    }
}
