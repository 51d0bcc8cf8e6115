//! Connections to a cluster, which the library keeps: it knows which node has which pool, and follows a pool that
//! moves.

use std::collections::HashSet;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError, TlsCertificates, Value};

use crate::address::Node;
use crate::error::{Away, OpenError};
use crate::greeting::{hash, judge};
use crate::link::Link;
use crate::open::{Target, ask};
use crate::script::{self, Hashes, SOURCES};

/// A pool that has moved is asked for where it is now, and if need be once more.
const REDIRECTIONS: u32 = 2;

/// How many nodes have slots.
pub(crate) async fn masters(
    connection: &MultiplexedConnection,
    target: &Target,
    node: &Node,
) -> Result<usize, OpenError> {
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("SLOTS");
    let Value::Array(ranges) = ask(connection, &slots, &target.address, node).await? else { return Ok(0) };
    let masters = ranges.iter().filter_map(|range| match range {
        // First and last slot, the master, and the replicas.
        Value::Array(parts) => parts.get(2).map(|master| format!("{master:?}")),
        _ => None,
    });
    Ok(masters.collect::<HashSet<_>>().len())
}

/// Connects to all masters, and leaves the scripts with them. A cluster that lacks one is away as a whole: its pools
/// move to another soon, and until then no request loses its time on them.
pub(crate) async fn open(target: &Target, node: &Node, masters: usize) -> Result<(Link, Hashes), OpenError> {
    let judged = |error: RedisError| judge(&error, &target.address, node);
    let mut connection = client(target, node).map_err(judged)?.get_async_connection().await.map_err(judged)?;
    let mut hashes = SOURCES.map(|_| String::new());
    for (source, found) in SOURCES.into_iter().zip(&mut hashes) {
        let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answers = connection.route_command(script::load(source), all).await.map_err(judged)?;
        let Value::Map(answers) = answers else { return Err(Away::Closed(node.to_string()).into()) };
        if answers.is_empty() || answers.len() < masters {
            let text = format!("{} of its {masters} masters cannot be reached", masters.saturating_sub(answers.len()));
            return Err(Away::Answers { address: node.to_string(), text }.into());
        }
        for (_, answer) in answers {
            *found = hash(&answer.extract_error().map_err(judged)?, node)?;
        }
    }
    Ok((Link::Cluster(connection), Hashes::from(hashes)))
}

fn client(target: &Target, node: &Node) -> Result<redis::cluster::ClusterClient, RedisError> {
    let address = &target.address;
    let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(password) = &address.password {
        info = info.set_password(password);
        if let Some(user) = &address.user {
            info = info.set_username(user);
        }
    }
    let Node { host, port } = node.clone();
    let place = match &target.tls {
        Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        None => ConnectionAddr::Tcp(host, port),
    };
    let seed = place.into_connection_info()?.set_redis_settings(info);
    let patience = target.settings.patience;
    let mut builder = ClusterClientBuilder::new([seed])
        .retries(REDIRECTIONS)
        .connection_timeout(patience)
        .response_timeout(patience)
        .tcp_settings(TcpSettings::default().set_nodelay(true));
    if let Some(tls) = &target.tls {
        builder = builder.certs(TlsCertificates { client_tls: None, root_cert: tls.ca.clone() });
    }
    builder.build()
}
