use super::*;
use crate::stats::law::Law;
use crate::stats::zipf::Zipf;
use crate::workload::client::Client;
use crate::workload::{Class, Source};

const S: Nanos = 1_000_000_000;

fn class(name: &str, weight: f64) -> Class {
    Class {
        name: name.to_owned(),
        model: "gpt-4o".to_owned(),
        weight,
        prompt: Prompt::Length(Law::log_normal(1000.0, 4000.0)),
        output: Some(Law::log_normal(130.0, 600.0)),
        tenants: vec![(0, 1.0)],
        sharing: None,
        repeats: None,
        stream: true,
    }
}

fn source(name: &str, arrivals: Arrivals, classes: &[u32]) -> Source {
    Source { name: name.to_owned(), arrivals, classes: classes.to_vec() }
}

fn workload(classes: Vec<Class>, sources: Vec<Source>) -> Workload {
    let tenants = vec!["default".to_owned()];
    Workload { classes, sources, tenants, client: Client::default(), requests: None, until: None }
}

fn poisson(rate: f64) -> Arrivals {
    Arrivals::Rate { profile: Arc::new(Profile::constant(rate)), gaps: Gaps::Exponential }
}

/// All that comes by itself until there is nothing or `most` have come.
fn asks(spec: &Workload, seed: u64, most: usize) -> Vec<Ask> {
    let mut traffic = Traffic::begin(spec, seed).unwrap_or_else(|problems| panic!("{problems:?}"));
    std::iter::from_fn(|| traffic.next_at().and_then(|at| traffic.next(at))).take(most).collect()
}

fn gaps(asks: &[Ask]) -> Vec<f64> {
    asks.windows(2).map(|pair| (pair[1].at - pair[0].at) as f64 / S as f64).collect()
}

fn mean_and_cv(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt() / mean)
}

#[test]
fn poisson_arrivals_have_their_rate_and_exponential_gaps() {
    let asks = asks(&workload(vec![class("a", 1.0)], vec![source("main", poisson(8.0), &[0])]), 1, 50_001);
    let (mean, cv) = mean_and_cv(&gaps(&asks));
    let n = 50_000.0_f64;
    assert!((mean * 8.0 - 1.0).abs() < 4.0 / n.sqrt(), "mean {mean}");
    // The variance of the square of an exponential variable is 8, of the estimated CV about 2 / n.
    assert!((cv - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "cv {cv}");
}

#[test]
fn the_azure_conversation_hour_is_played_as_it_was_recorded() {
    let asks = asks(&recorded("azure_llm_2023_conv.csv"), 1, usize::MAX);
    assert_eq!(asks.len(), 19_366);
    assert_eq!(asks.iter().map(|ask| u64::from(ask.output_tokens.unwrap_or(0))).sum::<u64>(), 4_088_665);
    let (mean, cv) = mean_and_cv(&gaps(&asks));
    assert!((1.0 / mean - 5.53).abs() < 0.005 && (cv - 1.094).abs() < 0.001, "{mean} {cv}");
    let percentiles = |of: fn(&Ask) -> u32| {
        let mut values: Vec<u32> = asks.iter().map(of).collect();
        values.sort_unstable();
        [50, 90, 99].map(|percent| values[(values.len() - 1) * percent / 100])
    };
    assert_eq!(percentiles(|ask| ask.input_tokens), [1020, 2734, 4142]);
    assert_eq!(percentiles(|ask| ask.output_tokens.unwrap_or(0)), [129, 424, 601]);
    assert_eq!((asks[0].at, asks[1].at), (0, 4_314_579_000));
}

#[test]
fn times_never_go_backwards_and_numbers_have_no_gaps() {
    let closed = Arrivals::Closed { users: 7, think: Law::exponential(2e9) };
    let sources = vec![source("open", poisson(5.0), &[0, 1]), source("users", closed, &[1])];
    let spec = Workload { requests: Some(5_000), ..workload(vec![class("a", 1.0), class("b", 3.0)], sources) };
    let mut traffic = Traffic::begin(&spec, 3).expect("a run");
    let (mut now, mut next_number, mut retried) = (0, 0, 0);
    while let Some(at) = traffic.next_at() {
        assert!(at >= now);
        assert_eq!(traffic.next(at.saturating_sub(1)).filter(|_| at > now), None, "nothing comes before its time");
        let ask = traffic.next(at).expect("what is due");
        assert_eq!(ask.at, at);
        if ask.attempt == 0 {
            assert_eq!(ask.number, next_number);
            next_number += 1;
        } else {
            assert!(ask.number < next_number);
            retried += 1;
        }
        now = at;
        let answer = if ask.key.named("fails").with(ask.attempt.into()).unit() < 0.3 { Answer::Broken } else { Answer::Whole };
        traffic.ended(now, &ask, answer, || true);
    }
    assert_eq!((next_number, traffic.begun()), (5_000, 5_000));
    // Each of 5,000 requests fails once with 0.3 and twice with 0.09.
    assert!((f64::from(retried) - 1_950.0).abs() < 4.0 * (5_000.0_f64 * 0.42).sqrt(), "{retried}");
}

fn recorded(name: &str) -> Workload {
    let path = format!("{}/../benches/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let file = std::io::BufReader::new(std::fs::File::open(path).expect("the recording"));
    let trace = trace::read(name, file, None, None).unwrap_or_else(|problems| panic!("{problems:?}"));
    workload(vec![class("chat", 1.0)], vec![source("recorded", Arrivals::Trace(Arc::new(trace)), &[0])])
}

#[test]
fn the_azure_code_hour_is_twelve_times_as_bursty_as_conversations() {
    let asks = asks(&recorded("azure_llm_2023_code.csv"), 1, usize::MAX);
    let (mean, cv) = mean_and_cv(&gaps(&asks));
    assert_eq!((asks.len(), asks[0].input_tokens, asks[0].output_tokens), (8_819, 4_808, Some(10)));
    assert!((1.0 / mean - 2.57).abs() < 0.005 && (cv - 13.15).abs() < 0.005, "{mean} {cv}");
}

#[test]
fn an_endless_prefix_cache_hits_64_percent_of_mooncakes_blocks() {
    let asks = asks(&recorded("mooncake_synthetic_trace.jsonl"), 1, usize::MAX);
    assert_eq!((asks.len(), asks.last().map(|ask| ask.at)), (3_993, Some(1_022_025_000_000)));
    let (mut seen, mut blocks, mut hits) = (std::collections::HashSet::new(), 0, 0);
    for ask in &asks {
        let Prefix::Blocks { block_tokens: 512, hashes } = &ask.prefix else { panic!("{:?}", ask.prefix) };
        assert_eq!(hashes.len(), ask.input_tokens.div_ceil(512) as usize);
        blocks += hashes.len();
        hits += hashes.iter().filter(|hash| !seen.insert(**hash)).count();
    }
    assert_eq!((blocks, hits), (121_877, 77_953));
    assert_eq!((hits as f64 / blocks as f64 * 1_000.0).round(), 640.0);
}

#[test]
fn bursts_have_the_mean_rate_and_the_dispersion_of_their_two_states() {
    let state = |rate, mean_s| bursty::State { rate, mean_s };
    let of = bursty::Bursty { calm: state(2.0, 10.0), burst: state(50.0, 2.0) };
    let mut run = bursty::Run::begin(of, Key::of_seed(11).named("bursts"));
    // Windows of 100 s; 10 a second in the mean.
    let mut counts = [0.0_f64; 400];
    while let Some(count) = run.next().and_then(|at| counts.get_mut((at / (100 * S)) as usize)) {
        *count += 1.0;
    }
    let n = counts.len() as f64;
    let mean = counts.iter().sum::<f64>() / n;
    // Fischer and Meier-Hellstern, "The Markov-modulated Poisson process cookbook", 1993: the variance of a count over its mean.
    let (leaves_calm, leaves_burst) = (0.1, 0.5);
    let r = leaves_calm + leaves_burst;
    let endless = 1.0 + 2.0 * leaves_calm * leaves_burst * 48.0 * 48.0 / (r * r * (2.0 * leaves_burst + 50.0 * leaves_calm));
    let dispersion = endless - (endless - 1.0) * (1.0 - libm::exp(-r * 100.0)) / (r * 100.0);
    let sigma = (1_000.0 * endless / n).sqrt();
    assert!((mean - 1_000.0).abs() < 4.0 * sigma, "mean {mean}, sigma {sigma}");
    let found = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / (n - 1.0) / mean;
    assert!((found / dispersion - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "dispersion {found}, not {dispersion}");
}

#[test]
fn a_changing_rate_is_met_in_each_part_of_time() {
    // Each lap of 100 s: up from 0 to 40 a second, a step down to 10, up to 30.
    let points = [(0.0, 0.0), (50.0, 40.0), (50.0, 10.0), (100.0, 30.0)];
    for (gaps, dispersion) in [(Gaps::Exponential, 1.0), (Gaps::of_cv(2.0), 4.0), (Gaps::Even, 0.0)] {
        let profile = Arc::new(Profile::through(&points, true).expect("a profile"));
        let spec = workload(vec![class("a", 1.0)], vec![source("main", Arrivals::Rate { profile, gaps }, &[0])]);
        let spec = Workload { until: Some(2_000 * S), ..spec };
        let mut counts = [0.0_f64; 4];
        for ask in asks(&spec, 2, usize::MAX) {
            counts[(ask.at / (25 * S) % 4) as usize] += 1.0;
        }
        // The integral over each quarter, times 20 laps; for renewals the variance of a count over its mean is the CV squared.
        for (count, expected) in counts.iter().zip([5_000.0, 15_000.0, 7_500.0, 12_500.0_f64]) {
            let sigma = (expected * dispersion).sqrt();
            assert!((count - expected).abs() <= 4.0 * sigma + 20.0, "{gaps:?}: {count}, not {expected}");
        }
    }
}

/// Plays `spec` for `seconds` against a service that takes `takes_ns` for every request.
fn play(spec: &Workload, seed: u64, seconds: u64, takes_ns: u64) -> Vec<Ask> {
    let mut traffic = Traffic::begin(spec, seed).unwrap_or_else(|problems| panic!("{problems:?}"));
    let (mut asks, mut running) = (Vec::new(), std::collections::VecDeque::<Ask>::new());
    loop {
        let ends = running.front().map(|ask| ask.at + takes_ns);
        let Some(now) = [ends, traffic.next_at()].into_iter().flatten().min().filter(|now| *now < seconds * S) else {
            return asks;
        };
        if ends == Some(now) {
            let ask = running.pop_front().expect("one that ends");
            assert_eq!(traffic.ended(now, &ask, Answer::Whole, || panic!("nothing failed")), Next::Done);
        } else {
            let ask = traffic.next(now).expect("one that is due");
            asks.push(ask.clone());
            running.push_back(ask);
        }
    }
}

fn users(users: u32, think: Law) -> Arrivals {
    Arrivals::Closed { users, think }
}

#[test]
fn closed_users_ask_as_often_as_their_thoughts_and_answers_let_them() {
    let spec = workload(vec![class("a", 1.0)], vec![source("users", users(20, Law::exponential(5e9)), &[0])]);
    let asks = play(&spec, 4, 6_000, S);
    // Each user is a renewal process with a mean of 5 + 1 s and a standard deviation of 5 s: 20 · 6000 / 6, variance 20000 · 25 / 36.
    assert!((asks.len() as f64 - 20_000.0).abs() < 4.0 * (20_000.0_f64 * 25.0 / 36.0).sqrt() + 20.0, "{}", asks.len());
    assert!(asks.iter().all(|ask| ask.user < 20));
    let mut newest = [None; 20];
    for ask in &asks {
        assert!(newest[ask.user as usize].is_none_or(|before| ask.at > before + S), "a user asks before it was answered");
        newest[ask.user as usize] = Some(ask.at);
    }
}

#[test]
fn slower_answers_shift_no_draw_of_a_user() {
    let spec = workload(vec![class("a", 1.0)], vec![source("users", users(5, Law::exponential(2e9)), &[0])]);
    let drawn_of = |user: u32, takes_ns| {
        let own = play(&spec, 4, 400, takes_ns).into_iter().filter(move |ask| ask.user == user);
        own.take(50).map(|ask| (ask.key, ask.input_tokens, ask.output_tokens)).collect::<Vec<_>>()
    };
    for user in 0..5 {
        let (fast, slow) = (drawn_of(user, S / 10), drawn_of(user, S));
        assert_eq!((fast.len(), slow.len()), (50, 50));
        assert_eq!(fast, slow, "user {user}");
    }
}

/// What of `asks` nobody else may shift: when, what and how long, by class.
fn of_class<'a>(spec: &'a Workload, asks: &'a [Ask], name: &'a str) -> impl Iterator<Item = (Nanos, u32, Option<u32>)> + 'a {
    let own = asks.iter().filter(move |ask| spec.classes[ask.class as usize].name == name);
    own.map(|ask| (ask.at, ask.input_tokens, ask.output_tokens))
}

#[test]
fn another_source_shifts_no_draw_and_another_class_only_takes_requests_over() {
    let main = |classes: &[u32]| source("main", poisson(10.0), classes);
    let alone = workload(vec![class("a", 1.0), class("b", 2.0)], vec![main(&[0, 1])]);
    let alone = Workload { until: Some(300 * S), ..alone };
    let before = asks(&alone, 6, usize::MAX);

    let other = source("other", users(3, Law::exponential(1e9)), &[0]);
    let beside = workload(vec![class("c", 1.0), class("a", 1.0), class("b", 2.0)], vec![other, main(&[1, 2])]);
    let beside = Workload { until: Some(300 * S), ..beside };
    let both = asks(&beside, 6, usize::MAX);
    assert!(both.len() > before.len());
    for name in ["a", "b"] {
        assert_eq!(of_class(&beside, &both, name).collect::<Vec<_>>(), of_class(&alone, &before, name).collect::<Vec<_>>());
    }

    let joined = workload(vec![class("a", 1.0), class("c", 3.0), class("b", 2.0)], vec![main(&[0, 1, 2])]);
    let joined = Workload { until: Some(300 * S), ..joined };
    let mixed = asks(&joined, 6, usize::MAX);
    assert_eq!(mixed.len(), before.len());
    let taken = mixed.iter().filter(|ask| ask.class == 1).count() as f64;
    let n = mixed.len() as f64;
    assert!((taken - n / 2.0).abs() < 4.0 * (n / 4.0).sqrt(), "{taken} of {n}");
    let kept: Vec<_> = of_class(&joined, &mixed, "a").collect();
    assert!(kept.len() < before.len() && kept.iter().all(|one| of_class(&alone, &before, "a").any(|other| other == *one)));
}

#[test]
fn classes_tenants_and_shared_beginnings_come_in_their_shares() {
    let sharing = crate::workload::Sharing { share: 0.7, groups: 5, tokens: Law::uniform(200.0, 900.0) };
    let a = Class { tenants: vec![(0, 3.0), (1, 1.0)], sharing: Some(sharing), ..class("a", 3.0) };
    let spec = workload(vec![a, class("b", 1.0)], vec![source("main", poisson(10.0), &[0, 1])]);
    let spec = Workload { tenants: vec!["x".to_owned(), "y".to_owned()], ..spec };
    let asks = asks(&spec, 9, 20_000);
    let share = |what: &str, expected: f64, of: &dyn Fn(&&Ask) -> bool, among: &dyn Fn(&&Ask) -> bool| {
        let n = asks.iter().filter(among).count() as f64;
        let found = asks.iter().filter(among).filter(of).count() as f64;
        assert!((found - n * expected).abs() < 4.0 * (n * expected * (1.0 - expected)).sqrt(), "{what}: {found} of {n}");
    };
    let of_a = |ask: &&Ask| ask.class == 0;
    share("class a", 0.75, &of_a, &|_| true);
    share("tenant y", 0.25, &|ask| ask.tenant == 1, &of_a);
    share("shared", 0.7, &|ask| ask.prefix != Prefix::None, &of_a);
    let mut lengths = std::collections::BTreeMap::new();
    for ask in &asks {
        assert!(ask.class == 0 || ask.prefix == Prefix::None && ask.tenant == 0);
        if let Prefix::Group { group, tokens } = ask.prefix {
            assert!(tokens <= ask.input_tokens);
            let longest = lengths.entry(group).or_insert((0, 0));
            *longest = (longest.0.max(tokens), longest.1 + 1);
        }
    }
    assert_eq!(lengths.len(), 5);
    // Every prompt that is long enough begins with the whole text.
    for ask in &asks {
        if let Prefix::Group { group, tokens } = ask.prefix {
            assert_eq!(tokens, lengths[&group].0.min(ask.input_tokens));
        }
    }
}

#[test]
fn prompts_that_come_again_are_equal_and_as_popular_as_zipf_says() {
    let repeats = crate::workload::Repeats { share: 0.5, popularity: Zipf::of(4, 1.0) };
    let a = Class { repeats: Some(repeats), ..class("a", 1.0) };
    let asks = asks(&workload(vec![a], vec![source("main", poisson(10.0), &[0])]), 3, 20_000);
    let mut prompts = std::collections::BTreeMap::new();
    for ask in &asks {
        let Some(prompt) = ask.prompt else {
            assert_eq!(ask.prefix, Prefix::None);
            continue;
        };
        assert_eq!(ask.prefix, Prefix::Group { group: prompt.get(), tokens: ask.input_tokens });
        let (tokens, count) = prompts.entry(prompt).or_insert((ask.input_tokens, 0_u32));
        assert_eq!(*tokens, ask.input_tokens, "an equal prompt is as long");
        *count += 1;
    }
    let mut counts: Vec<u32> = prompts.into_values().map(|(_, count)| count).collect();
    counts.sort_unstable();
    let n = f64::from(counts.iter().sum::<u32>());
    assert!((n - 10_000.0).abs() < 4.0 * 5_000_f64.sqrt(), "{n} of 20000");
    for (count, share) in counts.into_iter().zip([0.12, 0.16, 0.24, 0.48]) {
        assert!((f64::from(count) - n * share).abs() < 4.0 * (n * share * (1.0 - share)).sqrt(), "{count} of {n}");
    }
}

#[test]
fn recorded_lengths_bound_what_prompts_share() {
    let mut spec = recorded("azure_llm_2023_conv.csv");
    spec.classes[0].prompt = Prompt::Length(Law::constant(1.0));
    spec.classes[0].sharing = Some(crate::workload::Sharing { share: 1.0, groups: 1, tokens: Law::constant(500.0) });
    for ask in asks(&spec, 1, 1_000) {
        let Prefix::Group { tokens, .. } = ask.prefix else { panic!("{ask:?}") };
        assert_eq!(tokens, ask.input_tokens.min(500));
    }
}

#[test]
fn bursts_that_hardly_ever_come_end_with_the_time() {
    let of = bursty::State { rate: 1e-30, mean_s: 1e6 };
    let mut run = bursty::Run::begin(bursty::Bursty { calm: of, burst: of }, Key::of_seed(1));
    assert_eq!((run.next(), run.next()), (None, None));
}

#[test]
fn one_seed_is_one_run_and_another_seed_another() {
    let bursts = Arrivals::Bursty(bursty::Bursty {
        calm: bursty::State { rate: 1.0, mean_s: 3.0 },
        burst: bursty::State { rate: 30.0, mean_s: 1.0 },
    });
    let spec =
        workload(vec![class("a", 1.0), class("b", 1.0)], vec![source("x", bursts, &[0, 1]), source("y", poisson(3.0), &[1])]);
    assert_eq!(asks(&spec, 1, 2_000), asks(&spec, 1, 2_000));
    assert_ne!(asks(&spec, 1, 2_000), asks(&spec, 2, 2_000));
}

#[test]
fn a_refused_request_comes_again_as_itself_when_its_client_says_and_its_budget_allows() {
    let spec = workload(vec![class("a", 1.0)], vec![source("main", poisson(1.0), &[0])]);
    let spec = Workload { requests: Some(1), ..spec };
    let mut traffic = Traffic::begin(&spec, 1).expect("a run");
    let first = traffic.next_at().and_then(|at| traffic.next(at)).expect("a request");
    assert_eq!(traffic.next_at(), None);
    let refused = |status, retry_after_ns| Answer::Refused { status, retry_after_ns };
    // What no retry mends costs no budget.
    assert_eq!(traffic.ended(first.at, &first, refused(400, 0), || panic!("not asked")), Next::GivenUp);
    assert_eq!(traffic.ended(first.at, &first, refused(429, 5 * S), || false), Next::GivenUp);
    let at = first.at + 6 * S;
    assert_eq!(traffic.ended(first.at + S, &first, refused(429, 5 * S), || true), Next::Retry { at });
    assert_eq!((traffic.next_at(), traffic.next(at - 1)), (Some(at), None));
    let second = traffic.next(at).expect("the retry");
    assert_eq!(second, Ask { at, attempt: 1, ..first.clone() });
    let Next::Retry { at: third_at } = traffic.ended(at, &second, Answer::Broken, || true) else { panic!("no retry") };
    assert!((at + S * 3 / 4..=at + S).contains(&third_at), "after a second, jittered");
    let third = traffic.next(third_at).expect("the retry");
    assert_eq!(traffic.ended(third_at, &third, Answer::Broken, || panic!("no retry is left")), Next::GivenUp);
    assert_eq!((traffic.next_at(), traffic.begun()), (None, 1));
}

#[test]
fn a_run_ends_at_its_bounds_with_users_too() {
    let sources = vec![source("users", users(50, Law::exponential(1e9)), &[0]), source("open", poisson(20.0), &[0])];
    let spec = workload(vec![class("a", 1.0)], sources);
    let asks = play(&Workload { until: Some(30 * S), ..spec.clone() }, 1, 1_000, S / 10);
    assert!(asks.last().is_some_and(|ask| (29 * S..30 * S).contains(&ask.at)), "{:?}", asks.last());
    assert_eq!(play(&Workload { requests: Some(777), ..spec }, 1, 1_000, S / 10).len(), 777);
}

#[test]
fn what_cannot_be_played_is_refused() {
    let whole = workload(vec![class("a", 1.0)], vec![source("main", poisson(1.0), &[0])]);
    let spoilt = |spoil: fn(&mut Workload)| {
        let mut spec = whole.clone();
        spoil(&mut spec);
        Traffic::begin(&spec, 1).err().map(|problems| problems[0].to_string())
    };
    assert_eq!(spoilt(|_| {}), None);
    assert!(spoilt(|spec| spec.sources.clear()).is_some());
    assert!(spoilt(|spec| spec.sources[0].classes = vec![1]).is_some());
    assert!(spoilt(|spec| spec.classes[0].tenants = vec![(7, 1.0)]).is_some());
    let text = |spec: &mut Workload| spec.classes[0].prompt = Prompt::Text { text: Arc::from("ping"), tokens: None };
    assert!(spoilt(text).is_some_and(|said| said.contains("have not been counted")));
    let mut counted = whole.clone();
    text(&mut counted);
    counted.count_prompts(|text| text.len() as u32);
    assert_eq!(asks(&counted, 1, 1)[0].input_tokens, 4);
}

#[test]
fn a_user_without_thoughts_that_is_refused_at_once_does_not_stop_the_time() {
    let spec = workload(vec![class("a", 1.0)], vec![source("users", users(1, Law::constant(0.0)), &[0])]);
    let mut traffic = Traffic::begin(&Workload { client: Client { retries: 0, ..Client::default() }, ..spec }, 1).expect("a run");
    for expected in [0, 1_000_000, 2_000_000] {
        let at = traffic.next_at().expect("a request");
        assert_eq!(at, expected);
        let ask = traffic.next(at).expect("a request");
        traffic.ended(at, &ask, Answer::Broken, || true);
    }
}
