//! What holds for any jobs, cancelled and paused at any time. [`World`] checks
//! each plan.

use proptest::prelude::*;

use super::world::{World, limits, text};
use super::*;

#[derive(Debug, Clone)]
enum Action {
    Submit {
        partition: usize,
        family: i32,
        shared: usize,
        own: usize,
        generate: usize,
        every_logits: bool,
    },
    /// Of the jobs that there are, the one at this place.
    Cancel(prop::sample::Index),
    Pause(prop::sample::Index),
    Resume(prop::sample::Index),
    Steps(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let submit = (
        0_usize..3,
        0_i32..2,
        0_usize..80,
        1_usize..40,
        0_usize..30,
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(partition, family, shared, own, generate, every_logits)| Action::Submit {
                partition,
                family,
                shared,
                own,
                generate,
                every_logits,
            },
        );
    prop_oneof![
        4 => submit,
        1 => any::<prop::sample::Index>().prop_map(Action::Cancel),
        1 => any::<prop::sample::Index>().prop_map(Action::Pause),
        1 => any::<prop::sample::Index>().prop_map(Action::Resume),
        4 => (1_usize..12).prop_map(Action::Steps),
    ]
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (1_usize..5, 0_usize..3, 1_usize..70, any::<bool>()).prop_map(
        |(slots, remembered, prefill_chunk, reuse)| Limits {
            slots,
            remembered: remembered * 100,
            prefill_chunk,
            reuse,
            ..limits()
        },
    )
}

fn act(world: &mut World, action: Action) {
    let pick = |index: prop::sample::Index, world: &World| {
        let jobs: Vec<_> = world.jobs.keys().copied().collect();
        (!jobs.is_empty()).then(|| *index.get(&jobs))
    };
    match action {
        Action::Submit {
            partition,
            family,
            shared,
            own,
            generate,
            every_logits,
        } => {
            let mut prompt = text(family, shared);
            prompt.extend(text(10 + world.jobs.len() as i32, own));
            let partition = ["a", "b", "c"][partition];
            world.request(partition, prompt, generate, every_logits);
        }
        Action::Cancel(index) => {
            if let Some(job) = pick(index, world) {
                world.cancel(job);
            }
        }
        Action::Pause(index) => {
            if let Some(job) = pick(index, world) {
                world.scheduler.pause(job, true);
            }
        }
        Action::Resume(index) => {
            if let Some(job) = pick(index, world) {
                world.scheduler.pause(job, false);
            }
        }
        Action::Steps(steps) => (0..steps).for_each(|_| world.step()),
    }
}

proptest! {
    #[test]
    fn every_plan_is_sound_and_every_job_ends(
        limits in any_limits(),
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let mut world = World::new(limits);
        for action in actions {
            act(&mut world, action);
        }
        let jobs: Vec<_> = world.jobs.keys().copied().collect();
        for job in jobs {
            world.scheduler.pause(job, false);
        }
        world.finish();
        world.assert_nothing_leaks();
    }
}
