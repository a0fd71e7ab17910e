//! Which version of a model answers whom, step by step: each step is a change of a state that
//! either fits that state or is refused.

use fathom_proto::models::{Canary, ModelState};

use crate::Error;

/// How many versions a rollback reaches.
const REACHED: usize = 3;

/// Tries a version out; the one that is tried out already goes to more users, or to fewer.
pub(crate) fn deploy(state: &mut ModelState, canary: Canary) -> Result<(), Error> {
    match &mut state.canary {
        None if state.stable == Some(canary.version) => {
            conflict(format!("version {} answers everybody", canary.version))
        }
        None => {
            state.canary = Some(canary);
            Ok(())
        }
        Some(running) if running.version == canary.version => {
            *running = Canary {
                since: running.since,
                ..canary
            };
            Ok(())
        }
        Some(running) => conflict(format!(
            "version {} is being tried out; promote or abort it first",
            running.version
        )),
    }
}

/// Lets the version that is tried out answer everybody.
pub(crate) fn promote(state: &mut ModelState) -> Result<(), Error> {
    let Some(canary) = state.canary.take() else {
        return conflict("no version is being tried out");
    };
    let replaced = state.stable.replace(canary.version);
    state.previous.retain(|version| *version != canary.version);
    state.previous.splice(0..0, replaced);
    state.previous.truncate(REACHED);
    Ok(())
}

/// Lets a version answer that did so before, by default the last one, and ends a trial. The
/// versions that are left go behind those that are still to be reached, so that going back once
/// more never leads to them first.
pub(crate) fn roll_back(state: &mut ModelState, to: Option<u32>) -> Result<(), Error> {
    let place = match to {
        None => (!state.previous.is_empty()).then_some(0),
        Some(to) => state.previous.iter().position(|version| *version == to),
    };
    let (Some(place), Some(stable)) = (place, state.stable) else {
        let reached: Vec<_> = state.previous.iter().map(u32::to_string).collect();
        return conflict(match reached.as_slice() {
            [] => "no version answered before this one".to_owned(),
            reached => format!("a rollback reaches the versions {}", reached.join(", ")),
        });
    };
    let mut versions = vec![stable];
    versions.append(&mut state.previous);
    versions.rotate_left(place + 1);
    state.stable = Some(versions.remove(0));
    state.previous = versions;
    state.canary = None;
    Ok(())
}

/// Ends a trial.
pub(crate) fn abort(state: &mut ModelState) -> Result<(), Error> {
    match state.canary.take() {
        Some(_) => Ok(()),
        None => conflict("no version is being tried out"),
    }
}

fn conflict<T>(problem: impl Into<String>) -> Result<T, Error> {
    Err(Error::Conflict(problem.into()))
}

#[cfg(test)]
mod tests;
