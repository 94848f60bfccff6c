//! Who waits, by tenant and priority: which flow's oldest visit goes next.
//!
//! A flow has two numbers in the virtual time of its priority: where its last visit that was served ended, and where its oldest waiting one
//! starts. Virtual time is the start of what was served last. Only the oldest visit has a start, so that visits that give up waiting cost
//! their tenant nothing. A flow of which nobody waits is kept while its end lies ahead of virtual time, because a tenant that
//! always has just one visit here must not start anew each time. When nobody waits at all, everything is forgotten.

use hashbrown::HashTable;

use crate::random::Key;
use crate::station::Visitor;
use crate::station::list::{Links, List};
use crate::types::limits::FAIR_IDLE_TENANTS_MAX;

/// Not in the heap.
const NOWHERE: u32 = u32::MAX;

/// The flows of one queue.
#[derive(Debug)]
pub(super) struct Flows {
    flows: Vec<Flow>,
    /// Of those who wait, by flow.
    links: Links,
    free: Vec<u32>,
    index: HashTable<u32>,
    /// Flows of which somebody waits, a binary heap by [`Flow::rank`].
    heap: Vec<u32>,
    /// Virtual time by priority.
    virtual_now: Box<[u64; 256]>,
    /// Flows that came to wait, ever: the order of equals.
    order: u64,
    most: usize,
}

#[derive(Debug, Clone, Copy)]
struct Flow {
    tenant: u64,
    priority: u8,
    /// Where its last visit that was served ended, in virtual time.
    end: u64,
    /// Where its oldest visit starts.
    start: u64,
    order: u64,
    /// Who waits, the oldest first.
    waiting: List,
    /// Its place in the heap.
    place: u32,
}

impl Flow {
    /// Less goes first.
    fn rank(&self) -> (u8, u64, u64) {
        (u8::MAX - self.priority, self.start, self.order)
    }
}

impl Flows {
    pub(super) fn for_waiting(queue_max: u32) -> Self {
        Self {
            flows: Vec::new(),
            links: Links::default(),
            free: Vec::new(),
            index: HashTable::new(),
            heap: Vec::new(),
            virtual_now: Box::new([0; 256]),
            order: 0,
            most: (queue_max as usize).saturating_add(FAIR_IDLE_TENANTS_MAX),
        }
    }

    /// The flow of `tenant` at `priority`.
    pub(super) fn of(&mut self, tenant: u64, priority: u8) -> u32 {
        let found = |flow: &u32| {
            let flow = &self.flows[*flow as usize];
            (flow.tenant, flow.priority) == (tenant, priority)
        };
        if let Some(flow) = self.index.find(hash(tenant, priority), found) {
            return *flow;
        }
        if self.index.len() >= self.most {
            self.forget_idle();
        }
        let fresh = Flow { tenant, priority, end: 0, start: 0, order: 0, waiting: List::EMPTY, place: NOWHERE };
        let flow = match self.free.pop() {
            Some(flow) => {
                self.flows[flow as usize] = fresh;
                flow
            }
            None => {
                self.flows.push(fresh);
                (self.flows.len() - 1) as u32
            }
        };
        let flows = &self.flows;
        self.index.insert_unique(hash(tenant, priority), flow, |other| flows[*other as usize].hash());
        flow
    }

    /// `visitor` waits as the newest of `flow`.
    pub(super) fn push(&mut self, flow: u32, visitor: Visitor) {
        let of = &mut self.flows[flow as usize];
        if of.waiting.is_empty() {
            of.start = of.end.max(self.virtual_now[usize::from(of.priority)]);
            self.order += 1;
            of.order = self.order;
            of.place = self.heap.len() as u32;
            self.heap.push(flow);
            self.up(self.heap.len() - 1);
        }
        self.flows[flow as usize].waiting.push(&mut self.links, visitor);
    }

    /// Flows that are remembered.
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.index.len()
    }

    /// Who goes next.
    pub(super) fn next(&self) -> Option<Visitor> {
        self.heap.first().and_then(|flow| self.flows[*flow as usize].waiting.first())
    }

    /// Counts that the oldest visit of `flow` is served. It must be [removed](Self::remove) then.
    pub(super) fn serve(&mut self, flow: u32, cost: u32) {
        let of = &mut self.flows[flow as usize];
        let virtual_now = &mut self.virtual_now[usize::from(of.priority)];
        *virtual_now = of.start.max(*virtual_now);
        of.end = of.start + u64::from(cost);
        of.start = of.end;
        self.order += 1;
        of.order = self.order;
        let place = of.place as usize;
        self.down(place);
    }

    /// `visitor` waits no more.
    pub(super) fn remove(&mut self, flow: u32, visitor: Visitor) {
        let of = &mut self.flows[flow as usize];
        of.waiting.remove(&mut self.links, visitor);
        if of.waiting.is_empty() {
            let place = std::mem::replace(&mut of.place, NOWHERE) as usize;
            if of.end <= self.virtual_now[usize::from(of.priority)] {
                self.forget(flow);
            }
            self.heap.swap_remove(place);
            if let Some(moved) = self.heap.get(place) {
                self.flows[*moved as usize].place = place as u32;
                self.up(place);
                self.down(place);
            }
        }
    }

    /// Nobody waits: whoever comes next starts anew.
    pub(super) fn forget_all(&mut self) {
        if !self.flows.is_empty() {
            self.flows.clear();
            self.free.clear();
            self.index.clear();
            self.virtual_now.fill(0);
        }
    }

    /// Puts those of whom nobody waits on a par with whoever comes new.
    fn forget_idle(&mut self) {
        for flow in 0..self.flows.len() {
            let Flow { end, priority, place, tenant, .. } = self.flows[flow];
            let is_known = self.index.find(hash(tenant, priority), |other| *other as usize == flow).is_some();
            if is_known && place == NOWHERE {
                let virtual_now = &mut self.virtual_now[usize::from(priority)];
                *virtual_now = end.max(*virtual_now);
                self.forget(flow as u32);
            }
        }
    }

    fn forget(&mut self, flow: u32) {
        if let Ok(entry) = self.index.find_entry(self.flows[flow as usize].hash(), |other| *other == flow) {
            entry.remove();
            self.free.push(flow);
        }
    }

    fn up(&mut self, mut place: usize) {
        while place > 0 && self.is_before(place, (place - 1) / 2) {
            self.exchange(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
    }

    fn down(&mut self, mut place: usize) {
        loop {
            let mut first = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.is_before(child, first) {
                    first = child;
                }
            }
            if first == place {
                return;
            }
            self.exchange(place, first);
            place = first;
        }
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        self.flows[self.heap[a] as usize].rank() < self.flows[self.heap[b] as usize].rank()
    }

    fn exchange(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        for place in [a, b] {
            self.flows[self.heap[place] as usize].place = place as u32;
        }
    }
}

impl Flow {
    fn hash(&self) -> u64 {
        hash(self.tenant, self.priority)
    }
}

fn hash(tenant: u64, priority: u8) -> u64 {
    Key::of_seed(tenant).with(u64::from(priority)).bits()
}
