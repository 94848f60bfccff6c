//! A plugin of each kind as an author would write and test it: natively, with a fake host.

use simwright_sdk::call::Traits;
use simwright_sdk::prelude::*;
use simwright_sdk::testing::{self, FakeHost};

options! {
    /// Slower while others wait.
    pub struct Queueing {
        /// What each waiting request adds to the time to the first token.
        pub per_waiting: Duration = ms(50), in ms(0)..=ms(1_000);
    }
}

impl Latency for Queueing {
    fn plan(&self, call: &Call, output_tokens: u32) -> Schedule {
        Schedule::steady(self.per_waiting * call.waiting, ms(20)).pause(output_tokens / 2, ms(300))
    }
}

export!(Queueing: latency);

#[test]
fn a_latency_model_sees_the_load_and_the_length() {
    let model: Queueing = testing::plugin(r#"{"per-waiting": "100ms"}"#).unwrap();
    let schedule = model.plan(&testing::call().load(8, 3).build(), 40);
    assert_eq!(schedule, Schedule::steady(ms(300), ms(20)).pause(20, ms(300)));
}

/// Refuses every second request of a model that is named in its options: made from options and names, and not of them.
struct EverySecond {
    model: Option<u32>,
}

options! {
    /// Whom to refuse.
    pub struct EverySecondOptions {
        /// Name of the scenario's entry.
        pub model: String = String::new();
    }
}

impl Plugin for EverySecond {
    type Options = EverySecondOptions;

    fn configure(options: EverySecondOptions, setting: &Setting) -> Result<Self, Vec<Problem>> {
        let index = setting.names.models.iter().position(|name| *name == options.model);
        if index.is_none() && !options.model.is_empty() {
            let problem = Problem::at("/model", format!("unknown model `{}`", options.model));
            return Err(vec![problem.hint(format!("known models: {}", setting.names.models.join(", ")))]);
        }
        Ok(Self { model: index.map(|index| index as u32) })
    }
}

impl Fault for EverySecond {
    fn decide(&self, call: &Call) -> Verdict {
        if self.model.is_some_and(|model| model != call.model) {
            return Verdict::Pass;
        }
        if state::add("seen", 1) % 2 == 0 { Verdict::cut(Cut::Reset, Position::Token(5)) } else { Verdict::Pass }
    }
}

export!(EverySecond: fault);

#[test]
fn a_fault_counts_in_the_hosts_state_and_instances_share_it() {
    let host = FakeHost::new();
    let setting = testing::setting().models(["small", "large"]).build();
    let make = || testing::plugin_in::<EverySecond>(r#"{"model": "large"}"#, &setting).unwrap();
    let call = testing::call().model(1).build();
    assert_eq!(make().decide(&call), Verdict::Pass);
    assert_eq!(make().decide(&call), Verdict::cut(Cut::Reset, Position::Token(5)));
    assert_eq!(make().decide(&testing::call().build()), Verdict::Pass);
    assert_eq!(host.state_counter("seen"), Some(2));
}

#[test]
fn a_mistake_that_only_the_plugin_can_see_is_told_like_any_other() {
    let problems = testing::plugin::<EverySecond>(r#"{"model": "largo"}"#).err().unwrap();
    assert_eq!((problems[0].path.as_str(), problems[0].message.as_str()), ("/model", "unknown model `largo`"));
}

options! {
    /// Says back what it was told.
    pub struct Parrot {
        /// How often.
        pub times: u32 = 1, in 1..=10;
    }
}

impl Responder for Parrot {
    fn answer(&self, call: &Call) -> Answer {
        if call.has_tools() {
            return Answer::tool_call(call.tool_names().remove(0), None);
        }
        let tenant = call.header("x-tenant").unwrap_or_default();
        let said: Vec<_> = (0..self.times).map(|_| call.last_user_text()).collect();
        log::debug!("{tenant}: {} bytes", call.body().len());
        Answer::text(said.join(" "))
    }
}

export!(Parrot: responder);

#[test]
fn a_responder_reads_the_request_and_logs() {
    let host = FakeHost::new().body("{…}").header("X-Tenant", "acme").last_user_text("Polly");
    let parrot: Parrot = testing::plugin(r#"{"times": 2}"#).unwrap();
    assert_eq!(parrot.answers(&testing::call().build(), 3), [Answer::text("Polly Polly")]);
    assert_eq!(host.logs(), [(log::Level::Debug, "acme: 5 bytes".to_owned())]);
}

#[test]
fn a_responder_calls_a_tool() {
    let _host = FakeHost::new().attribute("tools", "look_up,refund");
    let parrot: Parrot = testing::plugin("{}").unwrap();
    let call = testing::call().traits(Traits::TOOLS).build();
    assert_eq!(parrot.answer(&call), Answer::tool_call("look_up", None));
}

options! {
    /// Keeps a session on its backend while that is open.
    pub struct Sticky {
        /// The header that names the session.
        pub header: String = "x-session".to_owned();
    }
}

impl Balancer for Sticky {
    fn pick(&self, ask: &Ask, backends: &[Backend]) -> Choice {
        let Some(session) = ask.header(&self.header) else { return Choice::Any };
        let place = state::add(&session, 0) as u32;
        match backends.get(place as usize) {
            Some(backend) if backend.open => Choice::Backend(place),
            _ => Choice::cheapest(backends, |backend| backend.busy() as f64),
        }
    }
}

export!(Sticky: balancer);

#[test]
fn a_balancer_reads_the_request_and_what_it_has_kept() {
    let _host = FakeHost::new().header("x-session", "s1");
    let sticky: Sticky = testing::plugin("{}").unwrap();
    let [open, closed] = [true, false].map(|open| testing::backend().open(open).build());
    assert_eq!(sticky.pick(&testing::ask().build(), &[open, open]), Choice::Backend(0));
    assert_eq!(sticky.pick(&testing::ask().build(), &[closed, open]), Choice::Backend(1));
    let _host = FakeHost::new();
    assert_eq!(sticky.pick(&testing::ask().build(), &[open]), Choice::Any);
}

options! {
    /// So many requests for each replica.
    pub struct PerReplica {
        /// Requests.
        pub requests: u32 = 10, in 1..=1_000;
    }
}

impl Autoscaler for PerReplica {
    fn decide(&self, group: &Group) -> Decision {
        group.wish((group.requests() as f64 / f64::from(self.requests)).ceil()).because(format!("{} requests", group.requests()))
    }
}

export!(PerReplica: autoscaler);

#[test]
fn an_autoscaler_sees_the_group_and_says_why() {
    let scaler: PerReplica = testing::plugin("{}").unwrap();
    let decision = scaler.decide(&testing::group().load(30, 5).build());
    assert_eq!(decision, Decision::replicas(4).because("35 requests"));
}
