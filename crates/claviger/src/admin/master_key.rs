//! `claviger master-key`

use std::cell::Cell;
use std::path::Path;

use anyhow::{Context, anyhow};
use claviger_app::master_keys::{KeyStatus, Progress, Standing, status};
use claviger_app::{App, Node, NodesWithoutIt, RunningNode};
use claviger_seal::{MasterKey, MasterKeyId};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

use super::progress::Meter;
use super::show;
use crate::cli::{LogFormat, MasterKeyCommand, SettingsFlags};
use crate::master_key::{Loaded, write_new};
use crate::open::Absent;
use crate::serve::Stop;
use crate::settings::Settings;
use crate::{log, open, print};

pub(crate) async fn run(flags: &SettingsFlags, json: bool, command: MasterKeyCommand) -> anyhow::Result<()> {
    log::begin(LogFormat::Text, LevelFilter::WARN);
    match command {
        MasterKeyCommand::Generate { out } => generate(json, out.as_deref()),
        MasterKeyCommand::Status => show_status(flags, json).await,
        MasterKeyCommand::Rotate { force } => rotate(flags, json, force).await,
    }
}

fn generate(json: bool, out: Option<&Path>) -> anyhow::Result<()> {
    let text = MasterKey::generate()?;
    let id = MasterKey::parse(&text)?.id().to_string();
    if let Some(file) = out {
        write_new(file, &text).with_context(|| format!("--out {}: the file must not be there yet", file.display()))?;
        return show(json, &json!({"id": id, "file": file}), || format!("master key {id} is in {}", file.display()));
    }
    // Neither needs escaping, and nothing else may hold the key.
    let line = if json { Zeroizing::new(format!("{{\"id\":\"{id}\",\"masterKey\":\"{}\"}}", *text)) } else { text };
    Ok(print::result(&line)?)
}

async fn show_status(flags: &SettingsFlags, json: bool) -> anyhow::Result<()> {
    let (store, loaded) = open::database_and_master_keys(&Settings::load(flags, None)?).await?;
    let found = status(&*store, &loaded.keys).await;
    store.close().await;
    let found = found?;
    if json {
        let keys: Vec<_> = found.keys.iter().map(|key| as_json(key, &loaded)).collect();
        let nodes: Vec<_> = found.nodes.iter().map(node_as_json).collect();
        let value = json!({"masterKeys": keys, "left": found.left(), "damaged": found.damaged, "nodes": nodes});
        print::result(&value.to_string())?;
    } else {
        found.keys.iter().try_for_each(|key| print::result(&as_line(key, &loaded)))?;
        found.nodes.iter().try_for_each(|node| print::result(&node_as_line(node)))?;
    }
    for missing in found.keys.iter().filter(|key| key.is_needed() && !key.is_given) {
        print::problem(&format!("claviger: master key {} is needed, and not given here", missing.id));
    }
    if found.damaged > 0 {
        print::problem(&format!(
            "claviger: {} data keys are damaged: they name a master key that was never in use",
            found.damaged
        ));
    }
    let in_use = found.keys.iter().find(|key| key.is_in_use).map(|key| key.id);
    for node in &found.nodes {
        let has = |id: MasterKeyId| node.node.master_keys.contains(&id.to_bytes());
        let wanted = loaded.keys.wanted().id();
        if in_use.is_some_and(|id| !has(id)) {
            print::problem(&format!(
                "claviger: node {} does not have the master key in use: it is not ready",
                node.node.name
            ));
        } else if !has(wanted) {
            print::problem(&format!("claviger: node {} does not have master key {wanted} yet", node.node.name));
        }
    }
    Ok(())
}

fn node_as_json(RunningNode { node, since, silent_for }: &RunningNode) -> Value {
    json!({
        "name": node.name,
        "since": since,
        "seenSecondsAgo": silent_for.as_secs(),
        "masterKeys": ids(node),
    })
}

/// As of master keys.
fn node_as_line(RunningNode { node, silent_for, .. }: &RunningNode) -> String {
    format!("node {}\thas {}\tseen {} s ago", node.name, ids(node).join(", "), silent_for.as_secs())
}

fn ids(node: &Node) -> Vec<String> {
    node.master_keys.iter().filter_map(|id| MasterKeyId::from_slice(id)).map(|id| id.to_string()).collect()
}

/// Where a master key was found.
fn place<'a>(key: &KeyStatus, loaded: &'a Loaded) -> Option<&'a str> {
    loaded.places.iter().find(|(id, _)| *id == key.id).map(|(_, place)| place.as_str())
}

fn as_json(key: &KeyStatus, loaded: &Loaded) -> Value {
    json!({
        "id": key.id.to_string(),
        "inUse": key.is_in_use,
        "given": place(key, loaded),
        "dataKeys": key.data_keys,
        "canBeWithdrawn": key.standing() == Standing::CanBeWithdrawn,
    })
}

/// For people: columns with tabs between them.
fn as_line(key: &KeyStatus, loaded: &Loaded) -> String {
    let note = match key.standing() {
        Standing::InUse => "in use",
        Standing::StillNeeded => "still needed",
        Standing::CanBeWithdrawn => "can be withdrawn",
        Standing::Next => "comes into use by `claviger master-key rotate`",
    };
    let place = place(key, loaded).unwrap_or("not given here");
    format!("{}\t{} data keys\t{note}\t{place}", key.id, key.data_keys)
}

async fn rotate(flags: &SettingsFlags, json: bool, force: bool) -> anyhow::Result<()> {
    let settings = Settings::load(flags, None)?;
    let stop = Stop::listen()?;
    let app = open::app(&settings, Absent::Refused).await?;
    let without_it = if force { NodesWithoutIt::LeaveBehind } else { NodesWithoutIt::Wait };
    let rotated = tokio::select! {
        rotated = rotate_in(&app, json, without_it) => rotated,
        () = stop.told() => {
            Err(anyhow!("told to stop; what was sealed anew stays, and the same command goes on where this one ended"))
        }
    };
    let closed = app.close().await;
    rotated?;
    Ok(closed?)
}

async fn rotate_in(app: &App, json: bool, without_it: NodesWithoutIt) -> anyhow::Result<()> {
    let meter = Meter::new("data keys", "sealed anew");
    let begun = Cell::new(false);
    let see = |Progress { done, all }: Progress| {
        if !begun.replace(true) && all > 0 {
            print::problem(&format!("{all} data keys are to be sealed anew"));
        }
        meter.see(done, all);
    };
    let rotated = app.rotate_master_key(without_it, see).await;
    meter.end();
    let rotated = rotated?;
    let (id, was) = (rotated.in_use.to_string(), rotated.was.map(|was| was.to_string()));
    let value = json!({"success": true, "inUse": id, "was": was, "resealed": rotated.resealed});
    show(json, &value, || {
        let before = was.map(|was| format!(", in the place of {was}")).unwrap_or_default();
        format!(
            "master key {id} is in use{before}; {} data keys were sealed anew, and all are under it now",
            rotated.resealed
        )
    })
}
