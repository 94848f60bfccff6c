use smallvec::smallvec;

use super::route::{ReplyBy, Stage, Step};
use super::*;
use crate::station::balancer::Rule;
use crate::station::{Cause, batcher, cache, pool};

const MS: Nanos = 1_000_000;

fn work(takes: &[Nanos]) -> Work {
    Work {
        route: 0,
        tenant: 0,
        priority: 0,
        content: 1,
        affinity: 1,
        prompt_tokens: 10,
        output_tokens: 5,
        prefix: replica::Prefix::None,
        bytes: 100,
        reply_ns: 50 * MS,
        step: None,
        takes: takes.iter().copied().collect(),
        choices: smallvec![],
        is_cut: false,
        draws: Key::of_seed(7),
        asker: None,
    }
}

fn stage(index: u16) -> Stage {
    Stage { index, ..Stage::default() }
}

fn site(stations: &[Settings], steps: Vec<Step>) -> Site {
    let stages = steps.iter().filter(|step| matches!(step, Step::Stage(_))).count();
    let names = (0..stages).map(|index| format!("s{index}")).collect();
    Site::new(stations, vec![Route { steps, stages: names }], true)
}

/// Everything that happens until nothing is left to do.
fn play(site: &mut Site, mut happened: Vec<Happened>) -> Vec<(Nanos, Visitor, What)> {
    while let Some(at) = site.next_at() {
        site.advance(at, &mut happened);
    }
    happened.iter().map(|happened| (happened.at / MS, happened.visit, happened.what)).collect()
}

fn enter_all(site: &mut Site, arrivals: &[Nanos], takes: &[Nanos]) -> Vec<Happened> {
    let mut happened = Vec::new();
    for at in arrivals {
        site.enter(*at, work(takes), &mut happened);
    }
    happened
}

#[test]
fn stages_follow_each_other_and_the_reply_begins_after_its_stages_own_time() {
    let model = Stage { reply: Some(ReplyBy::Timing), ..stage(1) };
    let mut site = site(&[], vec![Step::Stage(stage(0)), Step::Stage(model), Step::Stage(stage(2)), Step::End]);
    let happened = enter_all(&mut site, &[0], &[3 * MS, 2 * MS, MS]);
    let seen = play(&mut site, happened);
    assert_eq!(seen, [(5, 0, What::Begun(ReplyBy::Timing)), (55, 0, What::Written), (56, 0, What::Done)]);
    let marks: Vec<_> = site.marks(0).iter().map(|mark| (mark.stage, mark.entered / MS, mark.left / MS)).collect();
    assert_eq!(marks, [(0, 0, 3), (1, 3, 55), (2, 55, 56)]);
    assert_eq!(site.end_of(0), Some((56 * MS, Ok(()))));
}

#[test]
fn a_pool_serves_in_order_and_who_waits_is_let_in_as_another_leaves() {
    let mut site =
        site(&[Settings::Pool(pool::Settings::of(1))], vec![Step::Stage(Stage { through: Some(0), ..stage(0) }), Step::End]);
    let happened = enter_all(&mut site, &[0, MS, 2 * MS], &[10 * MS]);
    let seen = play(&mut site, happened);
    let (served, done) = (What::Served, What::Done);
    assert_eq!(seen, [(10, 1, served), (10, 0, done), (20, 2, served), (20, 1, done), (30, 2, done)]);
    let (_, _, flow) = site.flows(30 * MS).next().unwrap();
    assert_eq!((flow.entered, flow.passed, flow.inside), (3, 3, 0));
    assert_eq!(flow.inside_area, flow.stayed_ns, "Little's law");
    assert_eq!(flow.waiting_area, flow.waited_ns);
    assert_eq!(flow.waited_ns, u128::from(27 * MS));
}

#[test]
fn a_client_that_goes_gives_its_place_to_the_next() {
    let mut site =
        site(&[Settings::Pool(pool::Settings::of(1))], vec![Step::Stage(Stage { through: Some(0), ..stage(0) }), Step::End]);
    let mut happened = enter_all(&mut site, &[0, 0, 0], &[10 * MS]);
    site.leave(MS, 1, &mut happened);
    site.leave(4 * MS, 0, &mut happened);
    assert_eq!(play(&mut site, happened), [(4, 2, What::Served), (14, 2, What::Done)]);
    assert_eq!(site.len(), 1);
}

#[test]
fn who_takes_the_number_of_one_that_left_is_served_for_its_own_time() {
    let mut site =
        site(&[Settings::Pool(pool::Settings::of(1))], vec![Step::Stage(Stage { through: Some(0), ..stage(0) }), Step::End]);
    let mut happened = enter_all(&mut site, &[0], &[10 * MS]);
    site.leave(4 * MS, 0, &mut happened);
    assert_eq!(site.enter(5 * MS, work(&[10 * MS]), &mut happened), 0);
    assert_eq!(play(&mut site, happened), [(15, 0, What::Done)]);
}

#[test]
fn a_stage_that_takes_too_long_hands_over_to_the_next_of_its_chain() {
    let first = Stage { within_ns: 5 * MS, on_failure: Some(2), reply: Some(ReplyBy::Timing), ..stage(0) };
    let second = Stage { reply: Some(ReplyBy::Prepared(0)), ..stage(1) };
    let steps = vec![Step::Stage(first), Step::Jump(3), Step::Stage(second), Step::End];
    let mut slow = site(&[], steps.clone());
    let happened = enter_all(&mut slow, &[0], &[10 * MS, MS]);
    assert_eq!(play(&mut slow, happened), [(6, 0, What::Begun(ReplyBy::Prepared(0))), (6, 0, What::Written), (6, 0, What::Done)]);
    let mut quick = site(&[], steps);
    let happened = enter_all(&mut quick, &[0], &[4 * MS, MS]);
    let seen = play(&mut quick, happened);
    assert_eq!(seen, [(4, 0, What::Begun(ReplyBy::Timing)), (54, 0, What::Written), (54, 0, What::Done)]);
}

#[test]
fn a_fork_goes_on_when_enough_of_its_branches_have_arrived_and_gives_up_the_others() {
    let steps = |need| {
        vec![
            Step::Fork { branches: [1, 3].into(), join: 5, need, on_failure: None },
            Step::Stage(stage(0)),
            Step::Jump(5),
            Step::Stage(stage(1)),
            Step::Jump(5),
            Step::Join,
            Step::End,
        ]
    };
    for (need, ends) in [(2, 30), (1, 10)] {
        let mut site = site(&[], steps(need));
        let happened = enter_all(&mut site, &[0], &[10 * MS, 30 * MS]);
        assert_eq!(play(&mut site, happened), [(ends, 0, What::Done)]);
        assert_eq!(site.len(), 1, "branches are forgotten");
    }
}

#[test]
fn a_branch_that_fails_fails_its_fork_only_if_the_others_are_not_enough() {
    let failing = Stage { fails: 1.0, ..stage(0) };
    let steps = |need| {
        vec![
            Step::Fork { branches: [1, 3].into(), join: 5, need, on_failure: None },
            Step::Stage(failing),
            Step::Jump(5),
            Step::Stage(stage(1)),
            Step::Jump(5),
            Step::Join,
            Step::End,
        ]
    };
    let mut all = site(&[], steps(2));
    let happened = enter_all(&mut all, &[0], &[10 * MS, 30 * MS]);
    assert_eq!(play(&mut all, happened), [(10, 0, What::Refused(Refusal::of(Cause::StageFailed)))]);
    let mut any = site(&[], steps(1));
    let happened = enter_all(&mut any, &[0], &[10 * MS, 30 * MS]);
    assert_eq!(play(&mut any, happened), [(30, 0, What::Done)]);
}

#[test]
fn equal_runs_have_equal_digests_and_others_do_not() {
    let run = |takes| {
        let mut site =
            site(&[Settings::Pool(pool::Settings::of(2))], vec![Step::Stage(Stage { through: Some(0), ..stage(0) }), Step::End]);
        let happened = enter_all(&mut site, &[0, 1, 2, 3], &[takes]);
        play(&mut site, happened);
        (site.digest(), site.events())
    };
    assert_eq!(run(MS), run(MS));
    assert_ne!(run(MS).0, run(2 * MS).0);
}

#[test]
fn an_answer_that_the_cache_has_is_given_at_once_and_the_model_is_passed_over() {
    let level =
        cache::Level { entries_max: 10, bytes_max: 1_000, ttl_ns: 1_000 * MS, latency_ns: MS, policy: cache::Policy::Lru };
    let lookup = Stage { through: Some(0), on_hit: Some(2), ..stage(0) };
    let model = Stage { reply: Some(ReplyBy::Timing), ..stage(1) };
    let mut site = site(
        &[Settings::Cache(cache::Settings { levels: vec![level], flush_ns: 0 })],
        vec![Step::Stage(lookup), Step::Stage(model), Step::Stage(stage(2)), Step::End],
    );
    let mut happened = Vec::new();
    site.enter(0, work(&[]), &mut happened);
    let first = play(&mut site, happened);
    assert_eq!(first, [(1, 0, What::Begun(ReplyBy::Timing)), (51, 0, What::Written), (51, 0, What::Done)]);
    let mut happened = Vec::new();
    site.enter(60 * MS, work(&[]), &mut happened);
    let second = play(&mut site, happened);
    assert_eq!(second, [(61, 1, What::Begun(ReplyBy::Instant)), (61, 1, What::Written), (61, 1, What::Done)]);
    assert_eq!(site.cache(0).map(|cache| cache.counts().hits[0]), Some(1));
}

#[test]
fn who_waits_or_has_a_limit_knows_when_that_ends_at_the_latest() {
    let look_again = |settings: &[Settings], first: Stage| {
        let mut site = site(settings, vec![Step::Stage(first), Step::End]);
        enter_all(&mut site, &[0, MS], &[100 * MS]);
        site.look_again(1).map(|at| at / MS)
    };
    let pool = |wait_max_ns| [Settings::Pool(pool::Settings { wait_max_ns, ..pool::Settings::of(1) })];
    let through = Stage { through: Some(0), ..stage(0) };
    assert_eq!(look_again(&pool(0), through), None, "it is told");
    assert_eq!(look_again(&pool(7 * MS), through), Some(8));
    assert_eq!(look_again(&pool(7 * MS), Stage { within_ns: 3 * MS, ..through }), Some(4));
    assert_eq!(look_again(&[], Stage { within_ns: 3 * MS, ..stage(0) }), Some(4));
    let gather = batcher::Settings { wait_max_ns: 5 * MS, ..batcher::Settings::of(9) };
    assert_eq!(look_again(&[Settings::Batcher(gather)], through), Some(5), "the first of a batch decides");
}

#[test]
fn every_cache_that_was_asked_in_vain_remembers_the_answer_and_none_a_text_in_its_place() {
    let caches: Vec<Settings> =
        [1, 2].map(|entries| Settings::Cache(cache::Settings { levels: vec![cache::Level::of(entries)], flush_ns: 0 })).into();
    let seen = |reply| {
        let lookup = |index: u16, on_hit| Step::Stage(Stage { through: Some(index), on_hit: Some(on_hit), ..stage(index) });
        let steps = vec![lookup(0, 3), lookup(1, 3), Step::Stage(Stage { reply: Some(reply), ..stage(2) }), Step::End];
        let mut site = site(&caches, steps);
        let happened = enter_all(&mut site, &[0, 60 * MS], &[]);
        play(&mut site, happened);
        [0, 1].map(|cache| site.cache(cache).map(|cache| cache.counts().hits[0]))
    };
    // The nearer one has it, so the other is not asked.
    assert_eq!(seen(ReplyBy::Timing), [Some(1), Some(0)]);
    assert_eq!(seen(ReplyBy::Prepared(0)), [Some(0), Some(0)]);
}

#[test]
fn a_client_that_goes_and_a_branch_that_is_given_up_are_no_failures_of_what_is_behind_a_breaker() {
    let breaker =
        Settings::Breaker(crate::station::breaker::Settings { in_a_row: Some(1), share: None, open_ns: 1_000 * MS, trials: 1 });
    let guarded = |index| Step::Stage(Stage { guard: Some(0), ..stage(index) });
    let mut left = site(std::slice::from_ref(&breaker), vec![guarded(0), Step::End]);
    let mut happened = enter_all(&mut left, &[0], &[10 * MS]);
    left.leave(MS, 0, &mut happened);
    left.enter(2 * MS, work(&[10 * MS]), &mut happened);
    assert_eq!(play(&mut left, happened), [(12, 0, What::Done)]);
    // The slower branch is behind the breaker.
    let fork = Step::Fork { branches: [1, 3].into(), join: 5, need: 1, on_failure: None };
    let steps = vec![fork, Step::Stage(stage(0)), Step::Jump(5), guarded(1), Step::Jump(5), Step::Join, Step::End];
    let mut any = site(&[breaker], steps);
    let happened = enter_all(&mut any, &[0, 20 * MS], &[5 * MS, 10 * MS]);
    play(&mut any, happened);
    let passed_over = any.flows(100 * MS).map(|(_, _, flow)| (flow.entered, flow.failed, flow.stayed_ns)).collect::<Vec<_>>();
    assert_eq!(passed_over, [(2, 0, u128::from(10 * MS)), (2, 2, u128::from(10 * MS))], "the second was let in, too");
}

/// Replicas with room for one, whose steps take 10 ms each.
fn replicas(count: u32) -> Settings {
    let step = replica::StepTime { base_ps: 10_000_000_000, ..replica::StepTime::default() };
    let replica = replica::Settings {
        step,
        sequences_max: 1,
        batch_tokens: 1_024,
        kv_blocks: 100,
        block_tokens: 16,
        queue_max: u32::MAX,
        prefix_cache: false,
        ahead: false,
    };
    Settings::Replicas(Replicas::of(count, replica, Rule::RoundRobin))
}

#[test]
fn a_stage_behind_the_replica_that_wrote_the_reply_takes_its_time_and_can_fail() {
    let model = Stage { through: Some(0), reply: Some(ReplyBy::Replica), ..stage(0) };
    let after = |log: Stage| {
        let mut site = site(&[replicas(1)], vec![Step::Stage(model), Step::Stage(log), Step::End]);
        let happened = enter_all(&mut site, &[0], &[0, 7 * MS]);
        let seen = play(&mut site, happened);
        let written = seen.iter().filter(|(_, _, what)| *what == What::Written).count();
        (written, seen.last().map(|(at, _, what)| (*at, *what)))
    };
    assert_eq!(after(stage(1)), (1, Some((57, What::Done))));
    let failed = |at, cause| (1, Some((at, What::Refused(Refusal::of(cause)))));
    assert_eq!(after(Stage { fails: 1.0, ..stage(1) }), failed(57, Cause::StageFailed));
    assert_eq!(after(Stage { within_ns: 2 * MS, ..stage(1) }), failed(52, Cause::Budget));
}

#[test]
fn who_was_at_a_later_replica_may_go_on_to_a_pool() {
    let first = Stage { through: Some(0), within_ns: 5 * MS, on_failure: Some(2), reply: Some(ReplyBy::Replica), ..stage(0) };
    let second = Stage { through: Some(1), reply: Some(ReplyBy::Timing), ..stage(1) };
    let steps = vec![Step::Stage(first), Step::Jump(3), Step::Stage(second), Step::End];
    let mut site = site(&[replicas(2), Settings::Pool(pool::Settings::of(1))], steps);
    let happened = enter_all(&mut site, &[0, 0, 0], &[]);
    let done: Vec<_> = play(&mut site, happened).into_iter().filter(|(_, _, what)| *what == What::Done).collect();
    assert_eq!(done, [(55, 0, What::Done), (105, 1, What::Done), (155, 2, What::Done)]);
}

#[test]
fn a_branch_that_leaves_its_place_to_one_that_cannot_take_it_is_left_once() {
    // Both branches go through one pool, whose place is free again at the moment at which the patience of the second ends.
    let pool = Settings::Pool(pool::Settings { wait_max_ns: 5 * MS, ..pool::Settings::of(1) });
    let through = |index| Step::Stage(Stage { through: Some(0), ..stage(index) });
    let fork = Step::Fork { branches: [1, 3].into(), join: 5, need: 2, on_failure: None };
    let mut site = site(&[pool], vec![fork, through(0), Step::Jump(5), through(1), Step::Jump(5), Step::Join, Step::End]);
    let happened = enter_all(&mut site, &[0], &[5 * MS, MS]);
    let seen = play(&mut site, happened);
    assert_eq!(seen, [(5, 0, What::Refused(Refusal::of(Cause::PoolTimeout)))]);
    for (_, _, flow) in site.flows(20 * MS) {
        assert_eq!((flow.entered, flow.inside), (1, 0));
    }
}

#[test]
fn who_fills_a_batch_lets_all_of_it_begin() {
    let gather = Settings::Batcher(batcher::Settings { wait_max_ns: 500 * MS, ..batcher::Settings::of(2) });
    let mut site = site(&[gather], vec![Step::Stage(Stage { through: Some(0), ..stage(0) }), Step::End]);
    let happened = enter_all(&mut site, &[0, 10 * MS, 20 * MS, 30 * MS], &[100 * MS]);
    let done: Vec<_> = play(&mut site, happened).into_iter().filter(|(.., what)| *what == What::Done).collect();
    assert_eq!(done.iter().map(|(at, visit, _)| (*at, *visit)).collect::<Vec<_>>(), [(110, 1), (110, 0), (130, 3), (130, 2)]);
}

#[test]
fn a_reply_that_is_cut_is_kept_by_no_cache() {
    let cache = Settings::Cache(cache::Settings { levels: vec![cache::Level::of(5)], flush_ns: 0 });
    let lookup = Stage { through: Some(0), on_hit: Some(2), ..stage(0) };
    let steps = vec![Step::Stage(lookup), Step::Stage(Stage { reply: Some(ReplyBy::Timing), ..stage(1) }), Step::End];
    let mut site = site(&[cache], steps);
    let mut happened = Vec::new();
    site.enter(0, Work { is_cut: true, ..work(&[]) }, &mut happened);
    site.enter(100 * MS, work(&[]), &mut happened);
    play(&mut site, happened);
    assert_eq!(site.cache(0).map(|cache| cache.counts().hits[0]), Some(0));
}

#[test]
fn limits_that_nobody_comes_to_are_forgotten() {
    let mut site = site(&[], vec![Step::Stage(Stage { within_ns: 3_600_000 * MS, ..stage(0) }), Step::End]);
    let mut happened = Vec::new();
    for number in 0..10_000 {
        let visit = site.enter(number * MS, work(&[MS / 2]), &mut happened);
        site.advance(number * MS + MS / 2, &mut happened);
        site.leave(number * MS + MS / 2, visit, &mut happened);
    }
    assert!(site.agenda.len() < 2_000, "{}", site.agenda.len());
}

#[test]
fn branches_whose_patience_ends_as_they_are_given_up_go_once() {
    // Somebody holds the pool. A fork waits for it twice, and as both waits end, a third branch fails; or what is tried instead follows.
    let pool = Settings::Pool(pool::Settings { wait_max_ns: 10 * MS, ..pool::Settings::of(1) });
    let hold = Stage { through: Some(0), ..stage(0) };
    let wait = |index| Step::Stage(Stage { through: Some(0), ..stage(index) });
    let steps = |on_failure| {
        vec![
            Step::Switch { choice: 0, ways: [1, 3].into() },
            Step::Stage(hold),
            Step::End,
            Step::Fork { branches: [4, 6, 8].into(), join: 10, need: 3, on_failure },
            Step::Stage(Stage { fails: 1.0, ..stage(1) }),
            Step::Jump(10),
            wait(2),
            Step::Jump(10),
            wait(3),
            Step::Jump(10),
            Step::Join,
            Step::Stage(stage(4)),
            Step::End,
        ]
    };
    for (on_failure, last) in [(None, What::Refused(Refusal::of(Cause::StageFailed))), (Some(11), What::Done)] {
        let mut site = site(std::slice::from_ref(&pool), steps(on_failure));
        let mut happened = Vec::new();
        for way in [0, 1] {
            let work = Work { choices: smallvec![way], ..work(&[100 * MS, 10 * MS, 0, 0, 0]) };
            site.enter(0, work, &mut happened);
        }
        let seen = play(&mut site, happened);
        assert_eq!(seen, [(10, 1, last), (100, 0, What::Done)]);
        let left: Vec<_> =
            site.flows(100 * MS).map(|(_, _, flow)| (flow.entered, flow.inside, flow.stayed_ns / u128::from(MS))).collect();
        assert_eq!(left[..4], [(1, 0, 100), (1, 0, 10), (1, 0, 10), (1, 0, 10)]);
        assert_eq!((site.load(0), site.len()), (Load::default(), 2));
    }
}
