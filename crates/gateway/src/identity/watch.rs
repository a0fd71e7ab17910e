//! The background tasks that follow what auth tells.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use ::metrics::gauge;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::identity::Change;
use futures::StreamExt;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::contact::SILENCE;
use super::subjects::Touched;
use super::{Identities, Inner, now};
use crate::metrics;

/// How often the key set is fetched without a reason.
const KEY_SET_PERIOD: Duration = Duration::from_secs(5 * 60);
/// How soon a fetch of the key set that failed is tried again.
const KEY_SET_RETRY: Duration = Duration::from_secs(1);
/// The first delay before the stream is opened again; the next ones double.
const FIRST_RECONNECT: Duration = Duration::from_millis(100);
/// The longest delay before the stream is opened again.
const LAST_RECONNECT: Duration = Duration::from_secs(2);
/// How often the contact is measured.
const TICK: Duration = Duration::from_secs(1);
/// Before the first change there is: auth answers with all that still matters.
const BEGINNING: i64 = 0;

impl Identities {
    /// Follows what changes until `shutdown` drains. Open streams lean on it, so the shutdown
    /// should drain after that of the routes.
    pub async fn keep_current(self, shutdown: Shutdown) {
        let inner = &*self.0;
        let follow = async { tokio::join!(inner.follow(), inner.keep_keys(), inner.tick()) };
        tokio::select! {
            _ = follow => {}
            () = shutdown.draining() => {}
        }
    }
}

impl Inner {
    /// Reads notices, for ever.
    async fn follow(&self) {
        let mut after = BEGINNING;
        let mut delay = FIRST_RECONNECT;
        loop {
            delay = match self.read(&mut after).await {
                Some(()) => FIRST_RECONNECT,
                None => (2 * delay).min(LAST_RECONNECT),
            };
            sleep(jittered(delay, RandomState::new().hash_one(()))).await;
        }
    }

    /// Reads notices until the stream breaks or falls silent; `None` if there was none.
    async fn read(&self, after: &mut i64) -> Option<()> {
        let mut notices = self.auth.watch(*after).await.ok()?;
        // Auth may be another process than before, with other settings.
        self.keys.changed.notify_one();
        let mut heard = None;
        while let Ok(Some(Ok(notice))) = timeout(SILENCE, notices.next()).await {
            match notice.change {
                Some(change) => self.apply(change),
                // Auth has caught up, and we with it.
                None => self.revoked.told(),
            }
            *after = notice.position;
            self.contact.heard();
            heard = Some(());
        }
        heard
    }

    fn apply(&self, change: Change) {
        match change {
            Change::Everything => {
                self.revoked.clear();
                self.keys.changed.notify_one();
                self.subjects.change(Touched::All);
                self.credentials.invalidate_all();
                self.clients.invalidate_all();
            }
            Change::Tenant(tenant) => self.subjects.change(Touched::Tenant(&tenant)),
            Change::Subject(subject) => self.subjects.change(Touched::One(&subject)),
            Change::Token {
                id,
                subject,
                expires_at,
            } => {
                // In this order: who is asked again must find it.
                self.revoked.insert(id, expires_at, now());
                self.subjects.change(Touched::One(&subject));
            }
            Change::SigningKeys => self.keys.changed.notify_one(),
        }
    }
    /// Fetches the key set at once, then now and again, and when it is known to have changed.
    async fn keep_keys(&self) {
        loop {
            let wait = match self.fetch_keys().await {
                Ok(()) => KEY_SET_PERIOD,
                Err(_) => KEY_SET_RETRY,
            };
            // Whether it was the time or a change makes no difference.
            let _ = timeout(wait, self.keys.changed.notified()).await;
        }
    }

    /// Measures the contact. While there is no trust, open streams are made to ask now and again.
    async fn tick(&self) {
        let begun = Instant::now();
        let mut live = false;
        let mut asked: Option<Instant> = None;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let age = self.contact.age().unwrap_or(begun.elapsed());
            gauge!(metrics::IDENTITY_CONTACT_AGE).set(age.as_secs_f64());
            if live != self.contact.is_live() {
                live = !live;
                if live {
                    tracing::info!("auth is heard: identities are kept up to date");
                } else {
                    tracing::warn!(
                        grace_s = self.grace.as_secs(),
                        "auth is not heard: known identities are trusted for the grace"
                    );
                }
            }
            if self.contact.is_trusted() {
                asked = None;
            } else if asked.is_none_or(|at| at.elapsed() >= self.grace.max(SILENCE)) {
                asked = Some(Instant::now());
                self.subjects.change(Touched::All);
            }
        }
    }
}

/// Half of `delay` to all of it, so that gateways do not come back all at once.
fn jittered(delay: Duration, random: u64) -> Duration {
    let half = delay / 2;
    let share = u32::try_from(random >> 32).unwrap_or(u32::MAX);
    half + half.mul_f64(f64::from(share) / f64::from(u32::MAX))
}
