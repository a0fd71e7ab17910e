//! What can be wrong with the audit log.

/// What is wrong with the first bad row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// A later one is there, this one is not.
    #[error("is missing")]
    Missing,
    /// Its key is none of the key ring: it was made with another, or the key ring is another's.
    #[error("was made with a key that the key ring does not have")]
    UnknownKey,
    /// It was changed, moved or put in: its hash is not that of itself and the row before.
    #[error("was altered, moved or put in: its hash does not follow from the row before it")]
    Altered,
    /// The log's own end is after it, the row is not there.
    #[error("is missing: the log was cut off before the end that table audit_head names")]
    CutOff,
    /// It is the last one, and table `audit_head` names another hash for it.
    #[error("is the last one, and table audit_head names another hash for it")]
    OtherEnd,
    /// The signed end is after it, the row is not there.
    #[error("is missing: the log was cut off, or is older than its signed end")]
    BeforeSignedEnd,
    /// The signed end names another hash for it: the log is another one from here on at the
    /// latest.
    #[error("is not the one that was signed: the log was forked, or restored and continued")]
    OtherThanSigned,
}
