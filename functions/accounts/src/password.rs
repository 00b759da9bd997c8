//! Passwords' hashes: Argon2id (RFC 9106) with the parameters that OWASP recommends, as PHC strings, which name them.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use docket_domain::Entropy;
use docket_domain::account::password::normal;
use docket_service::Problem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The memory of one hash, in KiB.
const MEMORY: u32 = 19_456;
/// How often the memory is gone through.
const PASSES: u32 = 2;
/// What is verified where there is no hash, so that it takes as long: nobody knows its password. It is made with the
/// same parameters as every new hash, which a test holds it to.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGF0IGFsbC4uLg$zOe6GtbGEPZq2SJxjwjIlzcTd1jR6QwNT7Kd3ZIzS2s";

/// How many requests of an instance may want a hash at once. While it computes one, the instance answers nobody: what an
/// agent token allows has to wait for so many at most.
const MOST_AT_ONCE: usize = 16;

/// The places of an instance for those who want a hash.
#[derive(Clone, Default)]
pub struct Places(Arc<AtomicUsize>);

/// A place, until it is dropped.
pub struct Taken(Arc<AtomicUsize>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Places {
    /// Takes a place.
    ///
    /// # Errors
    /// `unavailable`: there is none.
    pub fn take(&self) -> Result<Taken, Problem> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let taken = Taken(Arc::clone(&self.0));
        if self.0.load(Ordering::Relaxed) > MOST_AT_ONCE {
            return Err(Problem::unavailable(1, "too many want a hash at once"));
        }
        Ok(taken)
    }
}

/// Why a password could not be hashed, which is never its owner's fault.
#[derive(Debug, thiserror::Error)]
#[error("a password could not be hashed: {0}")]
pub struct HashError(argon2::password_hash::Error);

/// What a password and a hash come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verified {
    /// It is the password.
    Right,
    /// It is the password, and its hash was made with other parameters than new ones are.
    RightButOld,
    /// It is not, or there is none.
    Wrong,
}

fn argon2() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY, PASSES, 1, None).map_err(|error| HashError(error.into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash of a password, with a salt of chance.
pub fn hash(password: &str, salt: Entropy) -> Result<String, HashError> {
    let salt = SaltString::encode_b64(&salt.0.to_be_bytes()).map_err(HashError)?;
    let password = normal(password);
    let hash = argon2()?.hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(HashError)
}

/// Compares a password with a hash. Where there is none, that takes as long.
pub fn verify(password: &str, hash: Option<&str>) -> Result<Verified, HashError> {
    let ours = argon2()?;
    let parsed = PasswordHash::new(hash.unwrap_or(NOBODYS)).map_err(HashError)?;
    let is_right = ours
        .verify_password(normal(password).as_bytes(), &parsed)
        .is_ok();
    let params = Params::try_from(&parsed).map_err(HashError)?;
    let is_new = parsed.algorithm == Algorithm::Argon2id.ident()
        && (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY, PASSES, 1);
    Ok(match (is_right && hash.is_some(), is_new) {
        (false, _) => Verified::Wrong,
        (true, true) => Verified::Right,
        (true, false) => Verified::RightButOld,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash() {
        let hashed = hash("correct u\u{308}ber horse", Entropy(7)).unwrap();
        assert!(
            hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hashed}"
        );
        assert_ne!(hash("correct über horse", Entropy(8)).unwrap(), hashed);
        for (password, verified) in [
            ("correct über horse", Verified::Right),
            ("correct uber horse", Verified::Wrong),
            ("", Verified::Wrong),
        ] {
            assert_eq!(
                verify(password, Some(&hashed)).unwrap(),
                verified,
                "{password}"
            );
        }
    }

    #[test]
    fn a_hash_of_older_parameters_is_told() {
        let weak = Params::new(8, 1, 1, None).unwrap();
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, weak);
        let salt = SaltString::encode_b64(&[1; 16]).unwrap();
        let old = weak
            .hash_password(b"correct horse", &salt)
            .unwrap()
            .to_string();
        assert_eq!(
            verify("correct horse", Some(&old)).unwrap(),
            Verified::RightButOld
        );
        assert_eq!(verify("wrong", Some(&old)).unwrap(), Verified::Wrong);
    }

    #[test]
    fn an_instance_has_so_many_places_and_gets_them_back() {
        let places = Places::default();
        for _ in 0..2 {
            let taken: Vec<_> = (0..MOST_AT_ONCE).map(|_| places.take().unwrap()).collect();
            assert!(places.clone().take().is_err());
            drop(taken);
        }
    }

    #[test]
    fn nobodys_hash_takes_as_long_as_any_and_has_no_password() {
        let made = hash("anything", Entropy(7)).unwrap();
        let parsed = |hash| Params::try_from(&PasswordHash::new(hash).unwrap()).unwrap();
        assert_eq!(parsed(NOBODYS), parsed(&made));
        assert_eq!(NOBODYS.len(), made.len());
        assert_eq!(verify("anything", None).unwrap(), Verified::Wrong);
    }
}
