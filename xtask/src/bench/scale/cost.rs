//! What a request costs, over as many workspaces in the small database and in the large one.

use std::time::Duration;

use anyhow::Context;

use super::world::{Database, Node, World};
use super::{FEW, Options};
use crate::bench::WARM_UP;
use crate::bench::load::{Load, Workspaces};
use crate::bench::report::{Sample, median, micros};
use crate::bench::sample;

pub(super) const CONNECTIONS: u32 = 64;

pub(super) struct Costs {
    pub(super) few: Sample,
    pub(super) many: Sample,
    /// Of the large database to the small one: the middle one of all rounds' ratios.
    pub(super) cpu_ratio: f64,
    pub(super) p50_ratio: f64,
    pub(super) rounds: u32,
    pub(super) seconds: u64,
}

pub(super) fn measure(world: &World, options: &Options) -> anyhow::Result<Costs> {
    let (few, many) = (Side::prepare(world, &world.few)?, Side::prepare(world, &world.many)?);
    let time = Duration::from_secs(options.seconds);
    let mut rounds = Vec::new();
    for round in 1..=options.rounds {
        // Neither side always comes first.
        let pair = if round % 2 == 0 {
            let many = many.sample(time)?;
            (few.sample(time)?, many)
        } else {
            (few.sample(time)?, many.sample(time)?)
        };
        eprintln!("round {round}, few: {}", pair.0);
        eprintln!("round {round}, many: {}", pair.1);
        rounds.push(pair);
    }
    let (few, many): (Vec<_>, Vec<_>) = rounds.iter().copied().unzip();
    let cpu = |sample: &Sample| sample.cpu_a_request.map_or(0.0, micros);
    let ratio = |of: &dyn Fn(&Sample) -> f64| median(rounds.iter().map(|(few, many)| of(many) / of(few)));
    let no_rounds = "no rounds";
    Ok(Costs {
        few: Sample::median(&few).context(no_rounds)?,
        many: Sample::median(&many).context(no_rounds)?,
        cpu_ratio: ratio(&cpu).context(no_rounds)?,
        p50_ratio: ratio(&|sample| micros(sample.p50)).context(no_rounds)?,
        rounds: options.rounds,
        seconds: options.seconds,
    })
}

struct Side {
    node: Node,
    load: Load,
}

impl Side {
    fn prepare(world: &World, database: &Database) -> anyhow::Result<Self> {
        let node = world.node(database, None)?;
        let workspaces = Workspaces { first: 1, step: database.workspaces / FEW, count: FEW };
        let load = Load::over(&node.endpoint, workspaces, &node.dir)?;
        load.check()?;
        load.run(CONNECTIONS, WARM_UP)?;
        Ok(Self { node, load })
    }

    fn sample(&self, time: Duration) -> anyhow::Result<Sample> {
        sample(&self.load, CONNECTIONS, time, Some(self.node.process))
    }
}
