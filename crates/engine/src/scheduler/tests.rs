use std::time::Duration;

use self::world::{World, limits, text};
use super::*;

mod properties;
mod world;

/// Steps until `job` is started; the tokens it did not have to read.
fn start(world: &mut World, job: JobId) -> usize {
    loop {
        world.step();
        if let Some(cached) = world.cached(job) {
            return cached;
        }
    }
}

#[test]
fn jobs_start_in_order_and_partitions_take_turns() {
    let mut world = World::new(Limits {
        slots: 1,
        ..limits()
    });
    let a: Vec<_> = (0..3).map(|n| world.submit("a", text(n, 8), 2)).collect();
    let b: Vec<_> = (4..6).map(|n| world.submit("b", text(n, 8), 2)).collect();
    let mut order = Vec::new();
    while !world.jobs.is_empty() {
        world.step();
        order.extend(world.plan.started.iter().map(|start| start.job));
    }
    assert_eq!(order, [a[0], b[0], a[1], b[1], a[2]]);
}

#[test]
fn no_more_jobs_run_than_there_are_slots() {
    let mut world = World::new(limits());
    for n in 0..3 {
        world.submit("a", text(n, 8), 2);
    }
    world.step();
    assert_eq!(world.scheduler.running(), 2);
    world.finish();
}

#[test]
fn a_job_that_waited_too_long_expires() {
    let mut world = World::new(Limits {
        slots: 1,
        ..limits()
    });
    let running = world.submit("a", text(0, 8), 100);
    world.step();
    let early = world.submit("a", text(1, 8), 1);
    world.now += Duration::from_secs(1);
    let late = world.submit("a", text(2, 8), 1);
    world.now += Duration::from_secs(29);
    world.step();
    assert_eq!(world.plan.expired, [early]);
    assert!(world.jobs.contains_key(&running) && world.scheduler.is_waiting(late));
    world.finish();
}

#[test]
fn a_prompt_is_read_in_chunks_that_shrink_while_others_generate() {
    let mut world = World::new(limits());
    let long = world.submit("a", text(0, 200), 1);
    world.step();
    assert_eq!(world.rows(long), 128);
    let short = world.submit("b", text(1, 1), 50);
    world.step();
    assert_eq!((world.rows(short), world.rows(long)), (1, 16));
    world.step();
    assert_eq!((world.rows(short), world.rows(long)), (1, 16));
    world.finish();
}

#[test]
fn prompts_share_a_chunk_in_order_of_admission() {
    let mut world = World::new(limits());
    let first = world.submit("a", text(0, 100), 1);
    let second = world.submit("b", text(1, 100), 1);
    world.step();
    assert_eq!((world.rows(first), world.rows(second)), (100, 28));
}

#[test]
fn a_finished_text_is_used_again() {
    let mut world = World::new(limits());
    world.submit("a", text(0, 100), 5);
    world.finish();
    let mut longer = text(0, 100);
    longer.extend(text(1, 20));
    let longer = world.submit("a", longer, 5);
    assert_eq!(start(&mut world, longer), 100);
    world.finish();
    // The last token is read always, or nothing would tell what follows.
    let same = world.submit("a", text(0, 100), 5);
    assert_eq!(start(&mut world, same), 99);
}

#[test]
fn a_running_text_is_used_again() {
    let mut world = World::new(limits());
    world.submit("a", text(0, 60), 50);
    world.step();
    let mut other = text(0, 40);
    other.extend(text(1, 20));
    let other = world.submit("a", other, 5);
    assert_eq!(start(&mut world, other), 40);
}

#[test]
fn nothing_is_used_again_across_partitions() {
    let mut world = World::new(limits());
    world.submit("a", text(0, 100), 5);
    world.finish();
    let other = world.submit("b", text(0, 100), 5);
    assert_eq!(start(&mut world, other), 0);
}

#[test]
fn nothing_is_used_again_where_the_model_cannot() {
    let mut world = World::new(Limits {
        reuse: false,
        ..limits()
    });
    world.submit("a", text(0, 100), 5);
    world.finish();
    assert_eq!(world.scheduler.memory.saved(), 0);
    let same = world.submit("a", text(0, 100), 5);
    assert_eq!(start(&mut world, same), 0);
}

#[test]
fn a_job_waits_for_a_beginning_that_another_reads() {
    let mut world = World::new(limits());
    let first = world.submit("a", text(0, 200), 5);
    let same = world.submit("a", text(0, 200), 5);
    let other = world.submit("b", text(1, 8), 1);
    world.step();
    assert_eq!(world.cached(first), Some(0));
    assert!(world.scheduler.is_waiting(same));
    assert_eq!(world.cached(other), Some(0));
    assert!(start(&mut world, same) > 199 - WORTH_WAITING);
}

#[test]
fn a_held_job_does_not_expire() {
    let mut world = World::new(limits());
    world.submit("a", text(0, 500), 5);
    world.step();
    let held = world.submit("a", text(0, 500), 5);
    for _ in 0..2 {
        world.now += Duration::from_secs(60);
        world.step();
        assert!(world.plan.expired.is_empty());
    }
    start(&mut world, held);
    world.finish();
}

#[test]
fn what_is_saved_takes_no_room_in_the_cache() {
    let mut world = World::new(limits());
    world.submit("a", text(0, 200), 5);
    world.finish();
    world.step();
    assert_eq!(world.scheduler.kv_used(), 0);
    assert_eq!(world.scheduler.memory.saved(), 205);
}

#[test]
fn a_job_does_not_wait_for_a_paused_one() {
    let mut world = World::new(limits());
    let first = world.submit("a", text(0, 200), 5);
    world.step();
    world.scheduler.pause(first, true);
    let same = world.submit("a", text(0, 200), 5);
    world.step();
    assert_eq!(world.cached(same), Some(128));
}

#[test]
fn a_job_that_is_told_every_token_reads_every_token() {
    let mut world = World::new(limits());
    world.submit("a", text(0, 100), 5);
    world.finish();
    let echo = world.request("a", text(0, 100), 5, true);
    assert_eq!(start(&mut world, echo), 0);
    assert!(world.plan.rows.iter().all(|row| row.wants_logits));
    world.finish();
}

#[test]
fn the_text_used_longest_ago_makes_room() {
    let mut world = World::new(limits());
    world.submit("a", text(0, 200), 1);
    world.finish();
    world.submit("a", text(1, 200), 1);
    world.finish();
    // Uses the first text, so that the second one is the older.
    world.submit("a", text(0, 200), 1);
    world.finish();
    world.submit("a", text(2, 200), 1);
    world.finish();
    let first = world.submit("a", text(0, 200), 1);
    assert_eq!(start(&mut world, first), 199);
    let second = world.submit("a", text(1, 200), 1);
    assert_eq!(start(&mut world, second), 0);
}

#[test]
fn a_text_that_another_begins_with_is_not_kept_twice() {
    let mut world = World::new(limits());
    for length in [100, 120, 50] {
        world.submit("a", text(0, length), 0);
        world.finish();
    }
    assert_eq!(world.scheduler.memory.saved(), 120);
}

#[test]
fn the_last_text_moves_into_a_gap() {
    let mut world = World::new(Limits {
        slots: 3,
        ..limits()
    });
    let jobs: Vec<_> = (0..3).map(|n| world.submit("a", text(n, 8), 50)).collect();
    world.step();
    world.cancel(jobs[0]);
    // The world checks that no sequence is left out, and what is in them.
    world.step();
    assert_eq!(world.plan.rows.len(), 2);
    world.finish();
    world.assert_nothing_leaks();
}

#[test]
fn a_long_text_does_not_move() {
    let mut scheduler = Scheduler::new(Limits {
        prefill_chunk: 10_000,
        ..limits()
    });
    let mut plan = Plan::default();
    let now = Instant::now();
    let jobs = [text(0, 8), text(1, 5000)].map(|prompt| {
        scheduler.submit(Request {
            partition: "a".into(),
            prompt,
            every_logits: false,
            submitted: now,
        })
    });
    scheduler.step(now, &mut plan);
    scheduler.end(jobs[0]);
    scheduler.push(jobs[1], Token(1));
    scheduler.step(now, &mut plan);
    assert_eq!(plan.rows.len(), 1);
    assert_eq!(plan.rows[0].sequence, 1);
}

#[test]
fn a_paused_job_keeps_its_slot_and_is_not_read() {
    let mut world = World::new(Limits {
        slots: 1,
        ..limits()
    });
    let job = world.submit("a", text(0, 8), 9);
    world.step();
    world.scheduler.pause(job, true);
    world.submit("b", text(1, 8), 1);
    world.step();
    assert!(world.plan.rows.is_empty());
    assert_eq!(world.scheduler.running(), 1);
    world.scheduler.pause(job, false);
    world.finish();
}

#[test]
fn a_lost_cache_costs_the_running_jobs_only() {
    let mut world = World::new(Limits {
        slots: 1,
        ..limits()
    });
    let running = world.submit("a", text(0, 100), 5);
    let waiting = world.submit("a", text(1, 100), 5);
    world.step();
    world.scheduler.reset();
    assert_eq!(world.scheduler.kv_used(), 0);
    assert!(world.scheduler.is_waiting(waiting) && !world.scheduler.is_waiting(running));
}
