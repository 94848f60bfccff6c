//! The queue as one model of `nexosim`, which schedules its own arrivals and ends of service.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::EventSource;
use nexosim::simulation::{Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};
use simwright::clock::real::thread_cpu_ns;
use simwright::random::Stream;

use super::{ARRIVALS, Queue, SERVERS};

static RESULT: Mutex<(u64, f64)> = Mutex::new((0, 0.0));

#[derive(Serialize, Deserialize)]
struct Servers {
    free: u32,
    waiting: VecDeque<f64>,
    draws: u64,
    left: u64,
    events: u64,
    served: u64,
    waited_s: f64,
}

impl Servers {
    fn exponential(&mut self, mean: f64) -> Duration {
        let mut stream = Stream::of(self.draws);
        let unit = stream.unit();
        self.draws = stream.bits();
        Duration::from_secs_f64((-(1.0 - unit).ln() * mean).max(1e-9))
    }

    fn serve(&mut self, waited_s: f64, context: &Context<Self>) {
        self.served += 1;
        self.waited_s += waited_s;
        let service = self.exponential(1.0);
        // Only a time in the past is refused, and this is none.
        let _ = context.schedule_event(service, schedulable!(Self::finish), ());
    }
}

fn seconds(context: &Context<Servers>) -> f64 {
    context.time().duration_since(MonotonicTime::EPOCH).as_secs_f64()
}

#[Model]
impl Servers {
    /// Begins.
    async fn start(&mut self, _: (), context: &Context<Self>) {
        self.arrive((), context).await;
    }

    #[nexosim(schedulable)]
    async fn arrive(&mut self, _: (), context: &Context<Self>) {
        self.events += 1;
        if self.free > 0 {
            self.free -= 1;
            self.serve(0.0, context);
        } else {
            self.waiting.push_back(seconds(context));
        }
        self.left -= 1;
        if self.left > 0 {
            let gap = self.exponential(1.0 / ARRIVALS);
            let _ = context.schedule_event(gap, schedulable!(Self::arrive), ());
        } else {
            // A model cannot be read from outside, so it leaves what it has seen here.
            *RESULT.lock().unwrap_or_else(PoisonError::into_inner) = (self.events, self.waited_s / self.served.max(1) as f64);
        }
    }

    #[nexosim(schedulable)]
    async fn finish(&mut self, _: (), context: &Context<Self>) {
        self.events += 1;
        match self.waiting.pop_front() {
            Some(since) => self.serve(seconds(context) - since, context),
            None => self.free += 1,
        }
    }
}

/// Runs the queue until `customers` have come, on one thread.
pub fn run(customers: u64) -> Result<Queue> {
    let servers =
        Servers { free: SERVERS, waiting: VecDeque::new(), draws: 7, left: customers, events: 0, served: 0, waited_s: 0.0 };
    let mailbox = Mailbox::new();
    let mut bench = SimInit::with_num_threads(1);
    let start = EventSource::new().connect(Servers::start, &mailbox).register(&mut bench);
    let mut simulation =
        bench.add_model(servers, mailbox, "servers").init(MonotonicTime::EPOCH).map_err(|error| anyhow!("{error}"))?;
    let begun = thread_cpu_ns();
    simulation.process_event(&start, ()).map_err(|error| anyhow!("{error}"))?;
    let until = Duration::from_secs_f64(customers as f64 / ARRIVALS * 2.0);
    simulation.step_until(until).map_err(|error| anyhow!("{error}"))?;
    let cpu_s = (thread_cpu_ns() - begun) as f64 * 1e-9;
    let (events, wait_s) = *RESULT.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Queue { events, cpu_s, wait_s })
}
