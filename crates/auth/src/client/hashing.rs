//! argon2id (RFC 9106), on few threads: a hash is slow and large on purpose, and whoever sends
//! bad secrets must not spend every processor with it.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _,
    PasswordVerifier as _, Version,
};
use secrecy::zeroize::Zeroizing;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::{Error, metrics, random};

/// OWASP's first choice for argon2id: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Longest wait for a turn.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Most who wait for a turn; more than come to one within the longest wait.
const MAX_WAITING: usize = 256;

/// Makes and compares hashes, one processor less than there are at a time.
pub(crate) struct Hashing {
    turns: Arc<Semaphore>,
    places: Semaphore,
    argon2: Argon2<'static>,
    decoy: PasswordHash,
}

impl Hashing {
    pub(crate) fn new() -> Result<Self, Error> {
        let params =
            Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| Error::Cryptography)?;
        let processors = available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            places: Semaphore::new(MAX_WAITING),
            turns: Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))),
            decoy: decoy(&params)?,
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
        })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Error::Busy`] when none comes soon, or too many wait.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Error> {
        let _place = self.places.try_acquire().map_err(|_| Error::Busy)?;
        let turn = timeout(MAX_WAIT, self.turns.clone().acquire_owned()).await;
        match turn {
            Ok(Ok(permit)) => Ok(Turn {
                hashing: self,
                permit,
            }),
            _ => Err(Error::Busy),
        }
    }
}

/// A hash that nothing leads to; no argon2 is needed to make it.
fn decoy(params: &Params) -> Result<PasswordHash, Error> {
    let invalid = |_| Error::Cryptography;
    Ok(PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(|_| Error::Cryptography)?,
        salt: Some(Salt::new(random::bytes::<16>()?.as_slice()).map_err(invalid)?),
        hash: Some(Output::new(random::bytes::<32>()?.as_slice()).map_err(invalid)?),
    })
}

/// The right to one hash. It is kept until the hash is done, even if nobody waits for it any more.
pub(crate) struct Turn<'a> {
    hashing: &'a Hashing,
    permit: OwnedSemaphorePermit,
}

impl Turn<'_> {
    /// The hash of `message`, as a PHC string.
    pub(crate) async fn hash(self, message: Zeroizing<Vec<u8>>) -> Result<String, Error> {
        let salt = random::bytes::<16>()?;
        self.run(move |argon2| {
            let hash = argon2.hash_password_with_salt(&message, salt.as_slice());
            Ok(hash.map_err(|_| Error::Cryptography)?.to_string())
        })
        .await
    }

    /// Whether `hash` is of `message`; never where there is none. The work is the same.
    pub(crate) async fn holds(
        self,
        hash: Option<&str>,
        message: Zeroizing<Vec<u8>>,
    ) -> Result<bool, Error> {
        let parsed = hash.and_then(|hash| PasswordHash::new(hash).ok());
        let found = parsed.is_some();
        let hash = parsed.unwrap_or_else(|| self.hashing.decoy.clone());
        let holds = self
            .run(move |argon2| Ok(argon2.verify_password(&message, &hash).is_ok()))
            .await?;
        Ok(holds && found)
    }

    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Argon2<'static>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        metrics::record_hash();
        let (argon2, permit) = (self.hashing.argon2.clone(), self.permit);
        spawn_blocking(move || {
            let result = work(&argon2);
            drop(permit);
            result
        })
        .await
        .map_err(|_| Error::Cryptography)?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn message(text: &str) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn a_hash_holds_for_its_message_alone() {
        let hashing = Hashing::new().unwrap();
        let hash = hashing
            .turn()
            .await
            .unwrap()
            .hash(message("a"))
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        for (hash, text, holds) in [
            (Some(hash.as_str()), "a", true),
            (Some(&hash), "b", false),
            (Some(&hash), "", false),
            (Some("not a hash"), "a", false),
            (Some(""), "", false),
            (None, "a", false),
        ] {
            let turn = hashing.turn().await.unwrap();
            assert_eq!(turn.holds(hash, message(text)).await.unwrap(), holds);
        }
    }

    /// Part of SEC-10: nobody's secret costs what somebody's does.
    #[tokio::test]
    async fn the_decoy_takes_the_work_of_a_hash() {
        let hashing = Hashing::new().unwrap();
        let hash = hashing
            .turn()
            .await
            .unwrap()
            .hash(message("a"))
            .await
            .unwrap();
        let hash = PasswordHash::new(&hash).unwrap();
        assert_eq!(hash.algorithm, hashing.decoy.algorithm);
        assert_eq!(hash.version, hashing.decoy.version);
        assert_eq!(hash.params, hashing.decoy.params);
        let lengths = |hash: &PasswordHash| (hash.salt.unwrap().len(), hash.hash.unwrap().len());
        assert_eq!(lengths(&hash), lengths(&hashing.decoy));
    }

    /// Part of SEC-9: what waits too long is told to come again, and the pool does not grow.
    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_so() {
        let hashing = Hashing::new().unwrap();
        let mut turns = Vec::new();
        while hashing.turns.available_permits() > 0 {
            turns.push(hashing.turn().await.unwrap());
        }
        let processors = available_parallelism().unwrap().get();
        assert_eq!(turns.len(), (processors - 1).max(1));
        let begun = tokio::time::Instant::now();
        assert!(matches!(hashing.turn().await, Err(Error::Busy)));
        assert_eq!(begun.elapsed(), MAX_WAIT);
        turns.clear();
        assert!(hashing.turn().await.is_ok());
    }

    /// Part of SEC-9: who leaves does not make room for one more hash than allowed.
    #[tokio::test]
    async fn a_turn_lasts_until_its_hash_is_done() {
        let hashing = Hashing::new().unwrap();
        let all = hashing.turns.available_permits();
        let turn = hashing.turn().await.unwrap();
        let mut work = Box::pin(turn.hash(message("a")));
        assert!(futures::poll!(&mut work).is_pending());
        drop(work);
        assert_eq!(hashing.turns.available_permits(), all - 1);
        let begun = Instant::now();
        while hashing.turns.available_permits() < all {
            assert!(begun.elapsed() < Duration::from_secs(30));
            tokio::task::yield_now().await;
        }
    }
}
