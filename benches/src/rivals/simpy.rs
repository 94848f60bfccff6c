//! The queue in SimPy, as its documentation writes one: a process a customer, in a Python of the machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{ARRIVALS, Queue, SERVERS};

/// Runs the queue until `customers` have come. Fails where there is no SimPy, and says how to get it.
pub fn run(customers: u64) -> Result<Queue> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rivals/queue.py");
    let python = std::env::var("SIMPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(&python);
    command.arg(script).args([SERVERS.to_string(), ARRIVALS.to_string(), customers.to_string()]);
    let output = command.output().with_context(|| format!("cannot start `{python}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}; install SimPy, or name a Python that has it in SIMPY_PYTHON", said.lines().last().unwrap_or("no word"));
    }
    let said = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = said.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    match numbers[..] {
        [events, cpu_s, wait_s] => Ok(Queue { events: events as u64, cpu_s, wait_s }),
        _ => bail!("the script said `{said}`"),
    }
}
