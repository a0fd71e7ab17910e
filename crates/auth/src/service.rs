//! The service: what the modules of credentials work with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use secrecy::zeroize::Zeroizing;
use sqlx::AnyPool;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::audit::HeadKeeper;
use crate::change::{Actor, Change, Entry};
use crate::client::{Decoy, Hashing, Remembered, Throttle};
use crate::keyring::{KeyRing, Place, Sealed};
use crate::signing_key::{OpenKeys, SigningKeys};
use crate::store::Store;
use crate::{Config, Error};

const STEP_INTERVAL: Duration = Duration::from_secs(1);

/// What has ended costs room and nothing else until it is forgotten.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);

/// The identity service. Clones share one.
///
/// It implements [`fathom_proto::identity::Identity`] and
/// [`fathom_proto::administration::Administration`].
#[derive(Clone)]
pub struct Auth {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub config: Config,
    pub store: Store,
    pub key_ring: KeyRing,
    pub signing_keys: SigningKeys,
    pub decoy: Decoy,
    pub hashing: Hashing,
    pub remembered: Remembered,
    pub throttle: Throttle,
    /// The service goes down: nobody is told of changes any more.
    pub closing: CancellationToken,
}

impl Auth {
    /// Opens the service over a migrated database. The first start makes the key ring and the
    /// signing key; later ones need the same key ring.
    ///
    /// # Errors
    /// A setting out of range, a key ring that is unreadable, exposed or another database's, or
    /// a database that fails.
    pub async fn open(config: Config, pool: AnyPool) -> Result<Self, Error> {
        let auth = Self::attach(config, pool).await?;
        auth.maintain_signing_keys().await?;
        Ok(auth)
    }

    /// Opens the service for changes by hand: it changes nothing by itself, because its settings
    /// may be others than those of the servers on the same database.
    ///
    /// # Errors
    /// As [`Auth::open`].
    pub async fn attach(config: Config, pool: AnyPool) -> Result<Self, Error> {
        config.validate()?;
        let store = Store::new(pool);
        let key_ring = KeyRing::load_or_create(config.key_ring.clone()).await?;
        let inner = Inner {
            signing_keys: SigningKeys::new(OpenKeys::none(&config)?),
            decoy: Decoy::new()?,
            hashing: Hashing::new()?,
            remembered: Remembered::new()?,
            throttle: Throttle::new(),
            closing: CancellationToken::new(),
            config,
            store,
            key_ring,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Makes a change, with its row in the audit log.
    pub(crate) async fn commit(
        &self,
        change: Change,
        actor: &Actor,
        entry: Entry,
    ) -> Result<i64, Error> {
        change.commit(&self.inner.key_ring, actor, entry).await
    }

    /// Does what must be done once a second, until `shutdown` begins; then those who watch are
    /// sent away, to another replica if there is one. A step that fails is told to
    /// the operator when it begins to fail, and tried again.
    pub async fn keep_current(self, shutdown: Shutdown) {
        let mut head = HeadKeeper::default();
        let (mut key_ring, mut audit) = (Step::default(), Step::default());
        let (mut signing_keys, mut purge) = (Step::default(), Step::default());
        let mut purged = Instant::now();
        let mut ticks = interval(STEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.draining() => break,
                _ = ticks.tick() => {}
            }
            key_ring.settle("read the key ring", self.inner.key_ring.refresh().await);
            audit.settle("sign the end of the audit log", head.keep(&self).await);
            signing_keys.settle(
                "look after signing keys",
                self.maintain_signing_keys().await,
            );
            if purged.elapsed() >= PURGE_INTERVAL {
                purged = Instant::now();
                purge.settle("forget what has ended", self.purge().await);
            }
        }
        // Streams of changes have no end of their own, and would hold up who waits for them.
        self.inner.closing.cancel();
    }

    /// Decrypts a stored value. A master key that is unknown may have come since the key ring was
    /// read, so that is read again once.
    pub(crate) async fn open_sealed(
        &self,
        place: Place<'_>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key_ring = &self.inner.key_ring;
        if !key_ring.has_master(&sealed.key_id) {
            key_ring.refresh().await?;
        }
        key_ring.open(place, sealed)
    }
}

/// One of the things that are done again and again.
#[derive(Default)]
struct Step {
    fails: bool,
}

impl Step {
    fn settle(&mut self, what: &'static str, result: Result<(), Error>) {
        let failed = std::mem::replace(&mut self.fails, result.is_err());
        match result {
            Err(error) if !failed => tracing::error!(
                error = &error as &dyn std::error::Error,
                "cannot {what}; it is tried again each second"
            ),
            Ok(()) if failed => tracing::info!("can {what} again"),
            _ => {}
        }
    }
}

/// Names the issuer alone: the database's address may hold a password.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("issuer", &self.inner.config.issuer)
            .finish_non_exhaustive()
    }
}
