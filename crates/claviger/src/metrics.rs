//! The metrics, in Prometheus's text format.

use std::fmt;
use std::sync::Arc;

use claviger_app::App;
use claviger_app::coordination::SharingCounts;
use claviger_gateway::GatewayMetrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// Reads the counts where they are kept, when they are asked for.
#[derive(Debug)]
struct Counts {
    app: Arc<App>,
    gateway: Arc<GatewayMetrics>,
}

impl Collector for Counts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Attempts with a leased key, by provider and by how they ended";
        let mut attempts = encoder.encode_descriptor("claviger_gateway_attempts", help, None, MetricType::Counter)?;
        for (provider, counts) in self.app.keyring.counts() {
            for (end, count) in counts.by_class().filter(|(_, count)| *count > 0) {
                let labels = [("provider", provider.as_str()), ("end", end)];
                attempts.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        let help = "Requests that Claviger answered by itself, by error code";
        let mut refusals = encoder.encode_descriptor("claviger_gateway_refusals", help, None, MetricType::Counter)?;
        for (code, count) in self.gateway.refusals() {
            refusals.encode_family(&[("code", code)])?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let help = "Bad tokens, links and sessions that were shown, by whether there were too many from their address";
        let mut bad = encoder.encode_descriptor("claviger_bad_tokens", help, None, MetricType::Counter)?;
        let counts = self.app.access.bad_tokens();
        for (too_many, count) in [("no", counts.refused.saturating_sub(counts.limited)), ("yes", counts.limited)] {
            bad.encode_family(&[("too_many", too_many)])?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let help = "Keys that were not taken, because something spoke against it";
        let mut keys = encoder.encode_descriptor("claviger_keys_refused", help, None, MetricType::Counter)?;
        keys.encode_counter::<NoLabelSet, _, u64>(&self.app.keys.refused(), None)?;
        let help = "Open connections of callers";
        let mut connections = encoder.encode_descriptor("claviger_connections", help, None, MetricType::Gauge)?;
        connections.encode_gauge(&self.gateway.connections())?;
        let help = "Connections of callers that were refused because there were too many";
        let mut refused = encoder.encode_descriptor("claviger_connections_refused", help, None, MetricType::Counter)?;
        refused.encode_counter::<NoLabelSet, _, u64>(&self.gateway.refused_connections(), None)?;
        let help = "Key pools in memory";
        let mut pools = encoder.encode_descriptor("claviger_pools_in_memory", help, None, MetricType::Gauge)?;
        pools.encode_gauge(&i64::try_from(self.app.keyring.pools_in_memory()).unwrap_or(i64::MAX))?;
        let help = "Memory that key pools take, about, in bytes";
        let mut bytes = encoder.encode_descriptor("claviger_pools_bytes", help, None, MetricType::Gauge)?;
        bytes.encode_gauge(&i64::try_from(self.app.keyring.bytes_in_memory()).unwrap_or(i64::MAX))?;
        let help = "Whether changes by other processes are heard of; if not, every request asks the database";
        let mut hearing = encoder.encode_descriptor("claviger_hearing", help, None, MetricType::Gauge)?;
        hearing.encode_gauge(&i64::from(self.app.keyring.is_hearing()))?;
        match self.app.keyring.sharing() {
            Some(counts) => sharing(&mut encoder, counts),
            None => Ok(()),
        }
    }
}

/// Rotation by Valkey.
fn sharing(encoder: &mut DescriptorEncoder<'_>, counts: SharingCounts) -> Result<(), fmt::Error> {
    let help = "Whether turns are shared with other nodes";
    let mut sharing = encoder.encode_descriptor("claviger_valkey_sharing", help, None, MetricType::Gauge)?;
    sharing.encode_gauge(&i64::from(counts.sharing))?;
    let help = "Turns of pools: shared with other nodes, or missed and taken from the node's own cursor";
    let mut turns = encoder.encode_descriptor("claviger_valkey_turns", help, None, MetricType::Counter)?;
    for (turn, count) in [("shared", counts.shared), ("missed", counts.missed)] {
        turns.encode_family(&[("turn", turn)])?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }
    let help = "Words on keys' rests: told to the other nodes, or lost, so that each learns for itself";
    let mut rests = encoder.encode_descriptor("claviger_valkey_rests", help, None, MetricType::Counter)?;
    for (word, count) in [("told", counts.told), ("lost", counts.lost)] {
        rests.encode_family(&[("word", word)])?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }
    Ok(())
}

/// What `/metrics` shows.
pub(crate) fn render(app: Arc<App>, gateway: Arc<GatewayMetrics>) -> impl Fn() -> String + Send + Sync {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Counts { app, gateway }));
    move || {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &registry) {
            Ok(()) => text,
            // Writing to a string does not fail.
            Err(fmt::Error) => String::new(),
        }
    }
}
