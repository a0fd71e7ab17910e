//! What is told to those who keep answers of this service. The audit log is the source: each
//! watcher reads it from where it stands, so that changes of every process are seen, and one that
//! is slow is a position further back and no queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fathom_proto::identity::{Change, ChangeStream, Notice};
use fathom_token::times;
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::audit::Row;
use crate::change::action;
use crate::store::Head;
use crate::{Auth, Error, clock};

/// How often the log is looked at for changes that another process made.
const POLL: Duration = Duration::from_millis(250);

/// How long there is silence at most while the database can be read.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A watcher that is further behind is told to ask everything again.
const MAX_REPLAY: i64 = 10_000;

/// Rows read at once.
const BATCH: i64 = 500;

/// Position of a notice that is no place to go on from: the list it is in is not told to its end.
const NOWHERE: i64 = 0;

impl Auth {
    /// Changes after position `after`, or from now on. Whoever starts anew, or cannot go on from
    /// where it was, is told first of every revoked token that would still hold.
    pub(crate) async fn watch(&self, after: Option<i64>) -> Result<ChangeStream, Error> {
        let head = self.inner.store.audit_head().await?;
        let mut watcher = Watcher {
            auth: self.clone(),
            seen: head.clone(),
            pending: VecDeque::new(),
            tokens_after: None,
            told_at: None,
            blind: false,
        };
        match after {
            None => watcher.tokens_after = Some(String::new()),
            Some(after) => {
                let mac = self.inner.store.audit_mac(after).await?;
                watcher.seen = Head {
                    position: after,
                    mac: mac.unwrap_or_default(),
                };
            }
        }
        let notices = stream::unfold(watcher, |mut watcher| async {
            let notice = watcher.next().await;
            Some((Ok(notice), watcher))
        });
        let closing = self.inner.closing.clone().cancelled_owned();
        Ok(notices.take_until(closing).boxed())
    }
}

/// One reader of the log.
struct Watcher {
    auth: Auth,
    /// The last row that is in `pending` or was told.
    seen: Head,
    pending: VecDeque<Notice>,
    /// The last revoked token that was told, while they are told.
    tokens_after: Option<String>,
    told_at: Option<Instant>,
    /// The database could not be read. There is no heartbeat then, so that the watcher knows too.
    blind: bool,
}

impl Watcher {
    async fn next(&mut self) -> Notice {
        let store_changed = Arc::clone(&self.auth.inner.store.changed);
        loop {
            if let Some(notice) = self.pending.pop_front() {
                self.told_at = Some(Instant::now());
                return notice;
            }
            // Begins to listen before the log is read, so that no change falls in between.
            let changed = store_changed.notified();
            let read = self.read().await;
            self.settle(read);
            if self.pending.is_empty() {
                tokio::select! {
                    () = changed => {}
                    () = sleep(POLL) => {}
                }
            }
        }
    }

    /// Reads what comes next into `pending`.
    async fn read(&mut self) -> Result<(), Error> {
        if let Some(after) = self.tokens_after.clone() {
            return self.read_tokens(&after).await;
        }
        let store = &self.auth.inner.store;
        let head = store.audit_head().await?;
        if head == self.seen {
            if self.told_at.is_none_or(|at| at.elapsed() >= HEARTBEAT) {
                self.tell(head.position, None);
            }
            return Ok(());
        }
        let behind = head.position.saturating_sub(self.seen.position);
        if !(1..=MAX_REPLAY).contains(&behind) {
            self.start_over(head);
            return Ok(());
        }
        let rows = store.audit_rows(self.seen.position, BATCH).await?;
        if rows.is_empty() {
            self.start_over(head);
            return Ok(());
        }
        let caught_up = i64::try_from(rows.len()).is_ok_and(|rows| rows < BATCH);
        for row in rows {
            let change = change(&row);
            if change == Some(Change::Everything) {
                self.start_over(head);
                return Ok(());
            }
            // A notice without a change would say that there is nothing more to come.
            if change.is_some() {
                self.tell(row.position, change);
            }
            self.seen = Head {
                position: row.position,
                mac: row.mac.text,
            };
        }
        // With changes coming all the time, this is the only moment to say that there are no more.
        if caught_up {
            self.tell(self.seen.position, None);
        }
        Ok(())
    }

    /// The log is not the one that was read so far, or too much of it was missed.
    fn start_over(&mut self, head: Head) {
        self.tell(NOWHERE, Some(Change::Everything));
        self.seen = head;
        self.tokens_after = Some(String::new());
    }

    async fn read_tokens(&mut self, after: &str) -> Result<(), Error> {
        let store = &self.auth.inner.store;
        // The clock of who verifies may be behind this one by as much as this one is fast.
        let end = clock::now().saturating_sub(2 * times::SKEW);
        let tokens = store.live_revoked_tokens(after, end, BATCH).await?;
        self.tokens_after = tokens.last().map(|token| token.id.clone());
        for token in tokens {
            let change = Change::Token {
                id: token.id,
                subject: token.client_id,
                expires_at: token.expires_at,
            };
            self.tell(NOWHERE, Some(change));
        }
        if self.tokens_after.is_none() {
            self.tell(self.seen.position, None);
        }
        Ok(())
    }

    fn tell(&mut self, position: i64, change: Option<Change>) {
        self.pending.push_back(Notice { position, change });
    }

    fn settle(&mut self, read: Result<(), Error>) {
        match read {
            Ok(()) => self.blind = false,
            Err(error) => {
                if !std::mem::replace(&mut self.blind, true) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "changes cannot be read; those who watch hear nothing until they can"
                    );
                }
            }
        }
    }
}

/// What a row of the log means to those who keep answers. Nobody can have kept one about what was
/// only just made.
fn change(row: &Row) -> Option<Change> {
    match row.action.as_str() {
        action::TENANT_CREATE | action::CLIENT_CREATE | action::KEY_CREATE | action::REWRAP => None,
        action::TENANT_UPDATE => Some(Change::Tenant(row.target.as_str().into())),
        action::CLIENT_UPDATE
        | action::CLIENT_SECRET_ADD
        | action::CLIENT_SECRET_REMOVE
        | action::KEY_UPDATE => Some(Change::Subject(row.target.clone())),
        action::LIMIT_SET | action::LIMIT_REMOVE => Some(match &row.tenant {
            Some(tenant) if tenant.as_str() == row.target => Change::Tenant(tenant.clone()),
            _ => Change::Subject(row.target.clone()),
        }),
        action::SIGNING_KEY_CREATE | action::SIGNING_KEY_RETIRE => Some(Change::SigningKeys),
        action::TOKEN_REVOKE => Some(revoked_token(row).unwrap_or(Change::Everything)),
        // A newer release made it: what it means is not known here.
        _ => Some(Change::Everything),
    }
}

fn revoked_token(row: &Row) -> Option<Change> {
    #[derive(Deserialize)]
    struct Details {
        client: String,
        expires_at: i64,
    }
    let details: Details = serde_json::from_str(&row.details).ok()?;
    Some(Change::Token {
        id: row.target.clone(),
        subject: details.client,
        expires_at: details.expires_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::Mac;

    fn row(action: &str, tenant: Option<&str>, target: &str, details: &str) -> Row {
        Row {
            position: 1,
            at: 0,
            actor: "system".to_owned(),
            action: action.to_owned(),
            tenant: tenant.map(Into::into),
            target: target.to_owned(),
            details: details.to_owned(),
            mac: Mac {
                key_id: String::new(),
                text: String::new(),
            },
        }
    }

    #[test]
    fn a_row_tells_what_must_be_asked_again() {
        let token = r#"{"client":"c","expires_at":7}"#;
        let ended = Change::Token {
            id: "j".to_owned(),
            subject: "c".to_owned(),
            expires_at: 7,
        };
        let subject = || Some(Change::Subject("c".to_owned()));
        for (row, expected) in [
            (row(action::TENANT_CREATE, Some("t"), "t", "{}"), None),
            (row(action::REWRAP, None, "m", "{}"), None),
            (
                row(action::CLIENT_SECRET_ADD, Some("t"), "c", "{}"),
                subject(),
            ),
            (row(action::LIMIT_SET, Some("t"), "c", "{}"), subject()),
            (
                row(action::LIMIT_SET, Some("t"), "t", "{}"),
                Some(Change::Tenant("t".into())),
            ),
            (
                row(action::SIGNING_KEY_RETIRE, None, "k", "{}"),
                Some(Change::SigningKeys),
            ),
            (
                row(action::TOKEN_REVOKE, Some("t"), "j", token),
                Some(ended),
            ),
            // What is not understood may mean anything.
            (
                row(action::TOKEN_REVOKE, Some("t"), "j", "{}"),
                Some(Change::Everything),
            ),
            (row("moon.land", None, "m", "{}"), Some(Change::Everything)),
        ] {
            assert_eq!(change(&row), expected, "{}", row.action);
        }
    }
}
