//! The service: what the modules of credentials work with.

use std::fmt;
use std::sync::Arc;

use sqlx::AnyPool;

use crate::client::Decoy;
use crate::keyring::KeyRing;
use crate::signing_key::SigningKeys;
use crate::store::Store;
use crate::{Config, Error};

/// The identity service. Clones share one.
///
/// It implements [`fathom_proto::identity::Identity`], and makes tenants, clients and keys.
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
}

impl Auth {
    /// Opens the service over a migrated database. The first start makes the key ring and the
    /// signing key; later ones need the same key ring.
    ///
    /// # Errors
    /// A setting out of range, a key ring that is unreadable, exposed or another database's, or
    /// a database that fails.
    pub async fn open(config: Config, pool: AnyPool) -> Result<Self, Error> {
        config.validate()?;
        let store = Store::new(pool);
        let key_ring = KeyRing::load_or_create(&config.key_ring).await?;
        let signing_keys = SigningKeys::load_or_create(&store, &key_ring, &config).await?;
        let decoy = Decoy::new(&key_ring)?;
        let inner = Inner {
            config,
            store,
            key_ring,
            signing_keys,
            decoy,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
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
