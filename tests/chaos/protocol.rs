//! The commit protocol as a model, every interleaving of it checked.
//!
//! Two writers take events from the stream and commit them to the table; either may crash anywhere, or hold on to what
//! it knew for as long as it likes (a zombie). Store and bus may each lose their tail once. Who writes to a store that
//! loses its tail goes down with it: a writer that outlives the store's memory is not covered by the protocol. Producers
//! publish on after the bus has lost its tail, so that sequences are given anew. What the model calls an event's identity
//! is the time at which the bus stored it.
//!
//! Each safeguard can be taken out, and then the checker must find what it is there for.

use stateright::{Checker as _, Model, Property};
use std::collections::BTreeSet;

/// Events that are published in all, and log entries that are written.
const EVENTS: u8 = 4;
const ENTRIES: u8 = 5;

/// One log entry of the table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    /// Position in the stream that the table reaches with it.
    to: usize,
    rows: Vec<u8>,
}

/// What a process knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Writer {
    Down,
    /// The bus or the store contradicts what the table says: somebody must look.
    Alarmed,
    /// It goes on from a snapshot of so many versions.
    Running {
        versions: usize,
        to: usize,
        last: u8,
        boots: u8,
        holds: Vec<u8>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    stream: Vec<u8>,
    published: u8,
    /// Log entries by version.
    log: Vec<Entry>,
    written: u8,
    writers: [Writer; 2],
    /// How often the bus was started: connections of before are gone.
    boots: u8,
    bus_lost: bool,
    store_lost: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    Publish,
    Start(usize),
    Take(usize, usize),
    Write(usize),
    Crash(usize),
    BusLosesTail(usize),
    StoreLosesTail(usize),
}

/// The protocol, with the safeguards that are in force.
#[derive(Clone, Copy)]
struct Protocol {
    /// A commit must directly follow the snapshot it was prepared on.
    same_snapshot: bool,
    /// The last event read must still stand where it stood, whenever the bus is asked anew.
    anchored: bool,
}

const WHOLE: Protocol = Protocol { same_snapshot: true, anchored: true };

impl World {
    fn rows(&self) -> Vec<u8> {
        self.log.iter().flat_map(|entry| entry.rows.iter().copied()).collect()
    }

    /// Whether the bus still has what was read last.
    fn bus_agrees(&self, protocol: Protocol, to: usize, last: u8) -> bool {
        if self.stream.len() < to {
            return false;
        }
        !protocol.anchored || to == 0 || self.stream[to - 1] == last
    }

    fn start(&mut self, protocol: Protocol, who: usize) {
        let to = self.log.last().map_or(0, |tip| tip.to);
        let last = self.log.iter().rev().find_map(|entry| entry.rows.last().copied()).unwrap_or(0);
        self.writers[who] = if self.bus_agrees(protocol, to, last) {
            Writer::Running { versions: self.log.len(), to, last, boots: self.boots, holds: Vec::new() }
        } else {
            Writer::Alarmed
        };
    }

    fn take(&mut self, protocol: Protocol, who: usize, count: usize) -> Option<()> {
        let Writer::Running { versions, to, last, boots, holds } = self.writers[who].clone() else { return None };
        if !holds.is_empty() {
            return None;
        }
        if boots != self.boots && !self.bus_agrees(protocol, to, last) {
            self.writers[who] = Writer::Alarmed;
            return Some(());
        }
        let holds = self.stream.get(to..to + count)?.to_vec();
        self.writers[who] = Writer::Running { versions, to, last, boots: self.boots, holds };
        Some(())
    }

    fn write(&mut self, protocol: Protocol, who: usize) -> Option<()> {
        let Writer::Running { versions, to, boots, holds, .. } = self.writers[who].clone() else { return None };
        let last = *holds.last()?;
        if protocol.same_snapshot && self.log.len() > versions {
            // Somebody else was faster: drop it, reload.
            self.writers[who] = Writer::Down;
            return Some(());
        }
        self.written += 1;
        let to = to + holds.len();
        self.log.push(Entry { to, rows: holds });
        self.writers[who] = Writer::Running { versions: self.log.len(), to, last, boots, holds: Vec::new() };
        Some(())
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            stream: Vec::new(),
            published: 0,
            log: Vec::new(),
            written: 0,
            writers: [Writer::Down, Writer::Down],
            boots: 0,
            bus_lost: false,
            store_lost: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Act>) {
        if world.published < EVENTS {
            actions.push(Act::Publish);
        }
        for (who, writer) in world.writers.iter().enumerate() {
            match writer {
                Writer::Down => actions.push(Act::Start(who)),
                Writer::Alarmed => {}
                Writer::Running { holds, .. } if holds.is_empty() => {
                    actions.extend((1..=EVENTS as usize).map(|count| Act::Take(who, count)));
                }
                Writer::Running { .. } if world.written < ENTRIES => actions.push(Act::Write(who)),
                Writer::Running { .. } => {}
            }
            if matches!(writer, Writer::Running { .. }) {
                actions.push(Act::Crash(who));
            }
        }
        if !world.bus_lost {
            actions.extend((1..=world.stream.len()).map(Act::BusLosesTail));
        }
        if !world.store_lost {
            actions.extend((1..=world.log.len()).map(Act::StoreLosesTail));
        }
    }

    fn next_state(&self, world: &World, action: Act) -> Option<World> {
        let mut next = world.clone();
        match action {
            Act::Publish => {
                next.published += 1;
                next.stream.push(next.published);
            }
            Act::Start(who) => next.start(*self, who),
            Act::Take(who, count) => next.take(*self, who, count)?,
            Act::Write(who) => next.write(*self, who)?,
            Act::Crash(who) => next.writers[who] = Writer::Down,
            Act::BusLosesTail(count) => {
                next.stream.truncate(next.stream.len() - count);
                next.bus_lost = true;
                next.boots += 1;
            }
            Act::StoreLosesTail(count) => {
                next.log.truncate(next.log.len() - count);
                next.store_lost = true;
                for writer in &mut next.writers {
                    if *writer != Writer::Alarmed {
                        *writer = Writer::Down;
                    }
                }
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(DOUBLED, |_: &Self, world: &World| {
                let rows = world.rows();
                rows.iter().collect::<BTreeSet<_>>().len() == rows.len()
            }),
            Property::always(SKIPPED, |_: &Self, world: &World| {
                // What stands in the table has everything before it in the table too.
                let rows = world.rows();
                let held: Vec<bool> = world.stream.iter().map(|event| rows.contains(event)).collect();
                !held.windows(2).any(|pair| !pair[0] && pair[1])
            }),
            Property::sometimes("everything arrives", |_: &Self, world: &World| {
                world.rows() == [1, 2, 3, 4] && !world.store_lost && !world.bus_lost
            }),
            Property::sometimes("everything arrives although the store lost its tail", |_: &Self, world: &World| {
                world.rows() == [1, 2, 3, 4] && world.store_lost && world.written > 2
            }),
            Property::sometimes("a bus that lost what the table has raises the alarm", |_: &Self, world: &World| {
                world.bus_lost && world.writers.contains(&Writer::Alarmed)
            }),
        ]
    }
}

const DOUBLED: &str = "no event stands in the table twice";
const SKIPPED: &str = "no event is skipped";

#[test]
fn no_interleaving_of_the_commit_protocol_doubles_or_skips_an_event() {
    let checked = WHOLE.checker().threads(2).spawn_bfs().join();
    println!("commit protocol: {} states", checked.unique_state_count());
    checked.assert_properties();
}

/// The property that breaks first when a safeguard is missing.
fn broken_without(protocol: Protocol) -> BTreeSet<&'static str> {
    let checked = protocol.checker().threads(2).spawn_bfs().join();
    [DOUBLED, SKIPPED].into_iter().filter(|name| checked.discovery(name).is_some()).collect()
}

#[test]
fn every_safeguard_of_the_commit_protocol_is_needed() {
    let broken = broken_without(Protocol { same_snapshot: false, ..WHOLE });
    assert!(broken.contains(DOUBLED), "commits on a later snapshot: {broken:?}");
    let broken = broken_without(Protocol { anchored: false, ..WHOLE });
    assert!(broken.contains(SKIPPED), "sequences given anew: {broken:?}");
}
