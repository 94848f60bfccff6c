use proptest::prelude::*;

use super::*;
use crate::behavior::fault::{Cut, Position};

fn struck(verdict: Verdict) -> Stand {
    Stand { verdict, ..Stand::new(|_| {}) }
}

/// The one stream of `model` under `verdict`.
fn alone(verdict: Verdict, model: &str) -> Heard {
    struck(verdict).play(model, &at_once(1), all).remove(0)
}

#[test]
fn a_cut_comes_with_the_token_before_it_and_the_replica_writes_no_further() {
    let (wanted, heard) = (alone(Verdict::Pass, "batched"), alone(Verdict::Cut(Cut::Reset, Position::Token(4)), "batched"));
    assert_eq!(heard.dues, wanted.dues[..4]);
    assert_eq!(heard.end, Some((wanted.dues[3], Ok(Ending::Cut(Cut::Reset)))));
}

#[test]
fn a_stall_shifts_what_leaves_and_not_what_the_replica_does() {
    for (model, position, from) in [
        ("batched", Position::Token(2), 2),
        ("pooled", Position::Token(2), 2),
        ("batched", Position::Start, 0),
        ("pooled", Position::Start, 0),
    ] {
        let (wanted, heard) = (alone(Verdict::Pass, model), alone(Verdict::Stall(500, position), model));
        for (token, (heard, wanted)) in heard.dues.iter().zip(&wanted.dues).enumerate() {
            let shifted = wanted + if token >= from { 500 * MS } else { 0 };
            // The replica has forgotten its steps by the time at which the stall is over: the tokens between come at equal distances.
            assert!(heard.abs_diff(shifted) < MS / 100, "{model}, {token}: {heard} for {shifted}");
        }
        assert_eq!(heard.dues.last().map(|last| last - 500 * MS), wanted.dues.last().copied(), "{model}");
    }
}

#[test]
fn an_interrupt_after_a_time_comes_at_that_time_even_to_one_who_waits() {
    let stand = struck(Verdict::Cut(Cut::Close, Position::AfterMs(70)));
    let heard = stand.play("pooled", &at_once(3), all);
    assert_eq!(heard.iter().map(|heard| heard.dues.len()).collect::<Vec<_>>(), [5, 5, 1]);
    assert_eq!(heard[0].end, Some((START + 55 * MS, Ok(Ending::Complete))), "it escaped");
    assert_eq!(heard[2].end, Some((START + 70 * MS, Ok(Ending::Cut(Cut::Close)))));
    let early = struck(Verdict::ErrorEvent("lost".to_owned(), Position::AfterMs(30))).play("pooled", &at_once(3), all);
    assert_eq!((&early[2].end, early[2].error.as_deref()), (&Some((START + 30 * MS, Ok(Ending::Complete))), Some("lost")));
}

#[test]
fn a_request_that_ends_before_its_head_meets_no_station() {
    for verdict in [Verdict::Hang(5), Verdict::Cut(Cut::Reset, Position::Start)] {
        let mut request = request("x");
        request.model = "pooled".into();
        let identity = Identity { content: 1, identity: 1, attempt: 0, occurrence: 0 };
        let stand = Stand::new(|_| {});
        let mut plan = plan(&stand.generation, 0, &Arc::new(request), &Facts::first(identity));
        plan.outcome = resolve(verdict.clone(), plan.reply.steps()).expect("a verdict that is played");
        assert!(!enters(&plan), "{verdict:?}");
    }
}

/// Plays the reply of `player` whole, and says when it was due, how it ended and how many steps had been played by then.
fn whole(player: &mut Player) -> (Nanos, Ending, u32) {
    loop {
        match player.playback.whole(player.look) {
            Head::Wait(until) => {
                assert!(until > player.look && until < Nanos::MAX, "it is alone");
                player.look = until;
            }
            Head::Leaves => break,
            Head::Refused(error) => panic!("{error:?}"),
        }
    }
    player.heard.now = Nanos::MAX;
    let (due, ending) = player.playback.play_whole(&mut player.heard);
    (due, ending, player.playback.progress().0)
}

#[test]
fn a_whole_reply_is_due_when_its_way_ends_or_is_cut() {
    let ends: Vec<_> = [
        Verdict::Pass,
        Verdict::Stall(500, Position::Token(2)),
        Verdict::Cut(Cut::Close, Position::Token(2)),
        Verdict::Cut(Cut::Close, Position::AfterMs(25)),
        Verdict::Cut(Cut::Close, Position::AfterMs(2)),
    ]
    .into_iter()
    .map(|verdict| {
        let stand = struck(verdict);
        let (due, ending, steps) = whole(&mut stand.player(0, "pooled", START));
        ((due - START) / MS, ending == Ending::Complete, steps)
    })
    .collect();
    assert_eq!(ends, [(55, true, 5), (553, true, 5), (23, false, 2), (25, false, 2), (2, false, 0)]);
    let (stand, streamed) = (Stand::new(|_| {}), alone(Verdict::Pass, "batched"));
    let mut player = stand.player(0, "batched", START);
    assert_eq!(whole(&mut player), (*streamed.dues.last().expect("tokens"), Ending::Complete, 20));
    assert_eq!(player.heard.text, streamed.text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// `Heard` itself refuses what comes early or out of order.
    #[test]
    fn who_looks_late_gets_the_same_text_and_what_it_sees_in_time_at_the_same_times(
        model in prop_oneof![Just("batched"), Just("pooled")],
        looks in prop::collection::vec(1..30 * MS, 0..40),
    ) {
        let wanted = alone(Verdict::Pass, model);
        let stand = Stand::new(|_| {});
        let mut player = stand.player(0, model, START);
        let mut now = START;
        for step in looks.into_iter().chain([60_000 * MS]) {
            now += step;
            if player.heard.end.is_none() {
                player.look(now);
            }
        }
        prop_assert_eq!(&player.heard.text, &wanted.text);
        prop_assert_eq!((player.heard.dues.first(), player.heard.dues.last()), (wanted.dues.first(), wanted.dues.last()));
        // A replica forgets its steps with the last of them; until then all are known to whoever looks.
        let known = player.heard.given.iter().zip(&player.heard.dues).zip(&wanted.dues);
        let last = wanted.dues[wanted.dues.len() - 1];
        for ((given, due), wanted) in known.filter(|((given, _), _)| **given < last) {
            prop_assert_eq!(due, wanted, "given at {}", given);
        }
    }
}
