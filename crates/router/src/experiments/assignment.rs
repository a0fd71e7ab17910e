//! Which arm a request is in.

use fathom_proto::id::{TenantId, UserId};
use fathom_proto::inference::Sampling;

use super::definition::{Arm, Experiment};
use crate::sticky::draw;

impl Experiment {
    /// The arm of a user, the same each time; `None`: the request is in none, because it sets a
    /// parameter of some arm itself. It is left out of all arms, not of that arm alone: else the
    /// requests of one arm would be others than those of the next.
    pub(super) fn arm_of(
        &self,
        tenant: &TenantId,
        user: &UserId,
        asked: &Sampling,
    ) -> Option<&Arm> {
        if self.arms.iter().any(|arm| arm.parameters.are_set_by(asked)) {
            return None;
        }
        let arm = self.arm_at(draw(&[&self.salt], tenant, user))?;
        match arm.stopped_at {
            None => Some(arm),
            Some(_) => self.arms.first(),
        }
    }

    /// The arm whose share `draw` is in.
    fn arm_at(&self, draw: u64) -> Option<&Arm> {
        let total: u64 = self.arms.iter().map(|arm| u64::from(arm.weight)).sum();
        // From 0 to below the total, each as likely as the next to within 2^-51.
        let mut place = (u128::from(draw) * u128::from(total)) >> 64;
        self.arms.iter().find(|arm| {
            let inside = place < u128::from(arm.weight);
            place = place.saturating_sub(u128::from(arm.weight));
            inside
        })
    }
}

#[cfg(test)]
mod tests;
