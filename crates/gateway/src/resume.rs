//! Streams that a client may take up again after its connection broke.
//!
//! Such a stream has a task of this process, which reads the answer into a bounded buffer; a client
//! reads the buffer, and another connection of the same caller may go on where it broke. The buffer
//! is in the memory of this gateway and of no other.
//!
//! # Layout
//!
//! - [`buffer`]: events with their numbers, as far as they fit
//! - [`kept`]: a stream between the task that fills it and whoever reads it
//! - [`events`]: event streams over HTTP
//!
//! Lanes of a WebSocket use the same registry, see `routes/stream/lane/kept.rs`.

mod buffer;
pub mod events;
mod kept;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::metrics::{counter, gauge};
use fathom_proto::id::{RequestId, TenantId};
use fathom_proto::identity::Principal;
use fathom_proto::{Error, ErrorCode};

use self::kept::Kept;
use crate::config;
use crate::identity::Session;
use crate::metrics;

pub use self::kept::{Keeper, Piece, Read, Reader};

/// The streams of this gateway that may be taken up again; clones share them.
#[derive(Clone)]
pub struct Streams(Arc<Registry>);

struct Registry {
    config: config::Resume,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    kept: HashMap<RequestId, Arc<Kept>>,
    /// How many of them each tenant has that has any.
    taken: HashMap<TenantId, usize>,
}

/// Who may take a stream up again, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    tenant: TenantId,
    subject: String,
    /// A route, or the name of a lane: what else would have the events in another form.
    place: Box<str>,
}

impl Owner {
    /// This caller, at this route or in this lane.
    pub fn new(session: &Session, place: &str) -> Self {
        let principal = session.principal();
        Self {
            tenant: principal.tenant.clone(),
            subject: principal.subject.clone(),
            place: place.into(),
        }
    }

    /// Whether it is this caller, wherever that is.
    fn is(&self, principal: &Principal) -> bool {
        self.tenant == principal.tenant && self.subject == principal.subject
    }
}

impl Streams {
    /// None yet.
    #[must_use]
    pub fn new(config: &config::Resume) -> Self {
        Self(Arc::new(Registry {
            config: config.clone(),
            places: Mutex::default(),
        }))
    }

    /// A place for the stream of this request, with its first reader; `None`: all are taken, or all
    /// that one tenant may have.
    pub fn keep(&self, id: &RequestId, owner: Owner) -> Option<(Keeper, Reader)> {
        let config = &self.0.config;
        let tenant = owner.tenant.clone();
        let mut places = self.0.lock();
        let taken = places.taken.get(&tenant).copied().unwrap_or_default();
        if places.kept.len() >= config.max_streams || taken >= config.max_streams_per_tenant {
            drop(places);
            count("refused");
            return None;
        }
        let kept = Arc::new(Kept::new(owner, config.buffer_bytes));
        places.kept.insert(id.clone(), kept.clone());
        places.taken.insert(tenant, taken + 1);
        drop(places);
        gauge!(metrics::RESUMABLE_STREAMS).increment(1);
        count("kept");
        let reader = kept.first_reader();
        Some((Keeper::new(self.clone(), id.clone(), kept), reader))
    }

    /// Reads the stream of the request `id` on after the event with the number `after`, or from its
    /// beginning. Whoever else reads it is cut off: a connection that is broken on one side is more
    /// often the reason than a second reader.
    ///
    /// # Errors
    /// `NotFound`, also for a stream of somebody else; `Gone` if events after that one are not here
    /// any more; `InvalidRequest` if there is no event of that number yet.
    pub fn resume(&self, id: &str, owner: &Owner, after: Option<u64>) -> Result<Reader, Error> {
        let kept = self.0.lock().kept.get(&RequestId::from(id)).cloned();
        let reader = match kept.filter(|kept| kept.is_of(owner)) {
            Some(kept) => kept.read_after(after),
            None => Err(unknown()),
        };
        count(match &reader {
            Ok(_) => "resumed",
            Err(error) if error.code == ErrorCode::Gone => "lost",
            Err(_) => "unknown",
        });
        reader
    }

    /// Ends the stream of the request `id` and forgets it. It may be of any route or lane of this
    /// caller.
    ///
    /// # Errors
    /// `NotFound`, also for a stream of somebody else.
    pub fn cancel(&self, id: &str, session: &Session) -> Result<(), Error> {
        let principal = session.principal();
        let kept = self.0.lock().kept.get(&RequestId::from(id)).cloned();
        let kept = kept.filter(|kept| kept.owner().is(principal));
        kept.ok_or_else(unknown)?.cancel();
        count("cancelled");
        Ok(())
    }

    fn remove(&self, id: &RequestId) {
        let mut places = self.0.lock();
        let Some(removed) = places.kept.remove(id) else {
            return;
        };
        if let Entry::Occupied(mut taken) = places.taken.entry(removed.owner().tenant.clone()) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
        drop(places);
        gauge!(metrics::RESUMABLE_STREAMS).decrement(1);
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Places> {
        // What could panic between two writes of one change is the allocator alone.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(event: &'static str) {
    counter!(metrics::RESUMPTIONS, "event" => event).increment(1);
}

fn unknown() -> Error {
    Error::new(
        ErrorCode::NotFound,
        "there is no such stream to take up again: it is over for too long, it was begun at another \
         gateway, at another route or by another caller, or it was never kept; send the request anew",
    )
}

#[cfg(test)]
mod tests;
