//! What the stations of one site are doing at a moment, for whoever asks once.

use crate::clock::Nanos;
use crate::engine::drive::Drive;
use crate::station::autoscaler::Decision;
use crate::station::pipeline::{Choices, Load, Size};
use crate::station::replica;

/// One station.
#[derive(Debug, Clone, PartialEq)]
pub struct StationView {
    /// Its name.
    pub name: String,
    /// How busy it is.
    pub load: Load,
    /// Its replicas by their numbers, those that are there.
    pub replicas: Vec<(u32, replica::Load)>,
    /// How often plugins chose between them.
    pub choices: Choices,
    /// How many there are, if that changes.
    pub group: Option<GroupView>,
}

/// A group whose size changes.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupView {
    /// What it is.
    pub size: Size,
    /// How many are wanted.
    pub wanted: u32,
    /// The newest decisions, oldest first.
    pub decisions: Vec<Decision>,
}

impl Drive {
    /// What its stations are doing at `now`, in the order of the scenario.
    pub fn view(&self, now: Nanos) -> Vec<StationView> {
        self.with(|state, woken| {
            let mut views = Vec::new();
            for station in 0..self.names.stations() {
                let replicas = state.site.replica_loads(now, station, &mut state.happened);
                let group = state.site.sizes(now, station).map(|sizes| GroupView {
                    size: sizes.now,
                    wanted: sizes.wanted,
                    decisions: sizes.decisions.iter().cloned().collect(),
                });
                let site = &state.site;
                views.push(StationView {
                    name: self.names.station_name(station).to_owned(),
                    load: site.load(station),
                    replicas: (0..).zip(replicas).filter(|(member, _)| site.is_there(station, *member)).collect(),
                    choices: site.choices(station),
                    group,
                });
            }
            state.note(woken);
            views
        })
    }
}
