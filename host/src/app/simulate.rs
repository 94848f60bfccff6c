//! Plays a scenario in virtual time: reads it, builds it with the deterministic plugin host, and lets its workload come.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::app::workshop::Workshop;
use crate::app::{StartError, read};
use crate::clock::real::{RealClock, monotonic_ns};
use crate::fleet::{Chronicle, Limits, LinesBy, Report, Watch, run};
use crate::plan::generation::Generation;
use crate::scenario::refusal::Refusal;
use crate::types::problem::Problem;
use crate::wasm::Compiler;
use crate::worker;
use crate::workload::{Arrivals, Source, Workload, trace};

/// When every run in virtual time begins, as Unix time in seconds: the first moment of 2025. Plugins may ask, and runs must be equal.
pub const EPOCH_UNIX_S: u64 = 1_735_689_600;

/// What to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulateOptions {
    /// The scenario's file.
    pub scenario: PathBuf,
    /// The run's seed; goes before the scenario's.
    pub seed: Option<u64>,
    /// No request begins at this time or later; goes before the workload's `until`.
    pub until: Option<Duration>,
    /// So many requests come at most, retries not counted; goes before the workload's `requests`.
    pub requests: Option<u64>,
    /// A recording that takes the place of all arrivals of the workload.
    pub trace: Option<PathBuf>,
    /// The run stops after so many events.
    pub limits: Limits,
    /// Who compiles plugins; usually [`Compiler::offered`].
    pub compiler: Compiler,
}

/// A scenario that is ready to be played.
pub struct Simulation {
    /// What is played.
    pub generation: Arc<Generation>,
    /// Who asks.
    pub workload: Workload,
    limits: Limits,
    workshop: Workshop,
}

impl Simulation {
    /// Reads and builds what `options` say. The refusal names every mistake.
    pub fn prepare(options: SimulateOptions) -> Result<Self, StartError> {
        let clock = RealClock::of_run(EPOCH_UNIX_S);
        let workshop = Workshop::open_virtual(clock, options.seed, options.compiler)?;
        let mut draft = read(Some(&options.scenario))?;
        if draft.scenario.source.value.get("workload").is_none() {
            let problem = Problem::new("", "there is no `workload`, so nobody asks anything");
            draft.problems.push(problem.hint(
                "say who asks what and when, for example \
                 `workload: { arrivals: { poisson: { rate: 8 } }, classes: [{ model: gpt-4o, input: 500 }], until: 10m }`",
            ));
        }
        let generation = Arc::new(workshop.build(draft, 1)?);
        let Some(workload) = &generation.scenario.workload else {
            // What could not be read has been refused above.
            return Err(Refusal::of(&generation.scenario.source, vec![Problem::new("/workload", "it cannot be used")]).into());
        };
        let mut workload = Workload::clone(workload);
        if let Some(file) = &options.trace {
            play_recording(&mut workload, file)?;
        }
        workload.requests = options.requests.or(workload.requests);
        workload.until = options.until.map(|until| until.as_nanos() as u64).or(workload.until);
        Ok(Self { generation, workload, limits: options.limits, workshop })
    }

    /// An empty chronicle, to watch a run with.
    pub fn chronicle(&self, by: LinesBy) -> Chronicle {
        Chronicle::of(&self.generation.scenario, &self.workload, by)
    }

    /// Plays it to its end or its limit; again, it is the same run.
    pub fn play(&self, watch: &mut impl Watch) -> Result<Report, StartError> {
        // Plugins keep a warm instance for each worker; here is one.
        worker::enter(0);
        self.workshop.plugins().forget_state();
        let from = monotonic_ns();
        let report = run(&self.generation, &self.workload, self.limits, watch);
        let mut report = report.map_err(|problems| {
            let at = |problem: Problem| if problem.pointer.starts_with("/workload") { problem } else { below(problem) };
            Refusal::of(&self.generation.scenario.source, problems.into_iter().map(at).collect())
        })?;
        report.wall_ns = Some(monotonic_ns() - from);
        Ok(report)
    }
}

/// `problem` of the section `workload:` as one of the whole file.
fn below(problem: Problem) -> Problem {
    Problem { pointer: format!("/workload{}", problem.pointer), ..problem }
}

/// Lets all classes of `workload` come as `file` recorded it.
fn play_recording(workload: &mut Workload, file: &Path) -> Result<(), Refusal> {
    let refused = |problems| Refusal { file: file.display().to_string(), files: Vec::new(), problems };
    let shown = file.display();
    // It may lie anywhere, unlike what scenarios name, and be a link.
    let real = file.canonicalize().map_err(|error| {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        let message =
            if is_missing { format!("there is no file `{shown}`") } else { format!("`{shown}` cannot be read: {error}") };
        refused(vec![Problem::new("", message).hint("check the path")])
    })?;
    let (folder, name) = (real.parent().unwrap_or(Path::new("/")), real.file_name().and_then(|name| name.to_str()));
    let name = name.ok_or_else(|| refused(vec![Problem::new("", "this is the name of no file").hint("name a recording")]))?;
    let trace = trace::open(folder, name, None, None).map_err(refused)?;
    let classes = (0..workload.classes.len() as u32).collect();
    workload.sources = vec![Source {
        name: crate::workload::read::SHARED_SOURCE.to_owned(),
        arrivals: Arrivals::Trace(Arc::new(trace)),
        classes,
    }];
    Ok(())
}
