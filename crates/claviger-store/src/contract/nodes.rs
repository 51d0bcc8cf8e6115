//! Nodes are noted, and a master key comes into use only where they have it.

use futures_util::future::join;

use super::Fresh;
use super::given::{replace_canary, somebody};
use crate::{NODE_LEASE, Node, NodesWithoutIt, Replaced};

/// A node of this number, with the master keys of these.
fn node(number: u8, name: &str, master_keys: &[u8]) -> Node {
    Node { id: [number; 16], name: name.to_owned(), master_keys: master_keys.iter().map(|id| [*id; 8]).collect() }
}

/// A canary as its frame begins, under the master key of this number.
fn canary(master: u8) -> Vec<u8> {
    [[1, 1].as_slice(), &[master; 8], b"rest"].concat()
}

pub async fn a_node_runs_from_when_it_is_noted_until_it_is_forgotten(Fresh { store, other }: Fresh) {
    assert_eq!(store.nodes().await.unwrap(), []);
    store.note_node(&node(1, "web", &[1])).await.unwrap();
    let first = other.nodes().await.unwrap().remove(0);
    assert_eq!(first.node, node(1, "web", &[1]));
    assert!(first.silent_for < NODE_LEASE);
    assert!(first.since.as_millis() > 0);
    // It may have got another master key; since when it runs stays.
    store.note_node(&node(1, "web", &[2, 1])).await.unwrap();
    let again = other.nodes().await.unwrap();
    assert_eq!((&again[0].node, again[0].since, again.len()), (&node(1, "web", &[2, 1]), first.since, 1));
    other.forget_node(&[2; 16]).await.unwrap();
    assert_eq!(store.nodes().await.unwrap().len(), 1);
    other.forget_node(&[1; 16]).await.unwrap();
    assert_eq!(store.nodes().await.unwrap(), []);
}

pub async fn nodes_are_told_apart_by_their_ids_and_come_by_name(Fresh { store, .. }: Fresh) {
    // Two containers may well have one name.
    let nodes = [node(3, "a", &[1]), node(2, "b", &[1]), node(4, "b", &[2])];
    for node in nodes.iter().rev() {
        store.note_node(node).await.unwrap();
    }
    let found: Vec<_> = store.nodes().await.unwrap().into_iter().map(|found| found.node).collect();
    assert_eq!(found, nodes);
}

pub async fn a_master_key_that_a_node_lacks_comes_into_use_only_where_that_is_accepted(Fresh { store, other }: Fresh) {
    store.put_canary_if_absent(&canary(1)).await.unwrap();
    for node in [node(1, "both", &[2, 1]), node(2, "old alone", &[1]), node(3, "older", &[3, 1])] {
        store.note_node(&node).await.unwrap();
    }
    let try_it = async |next: u8, without_it| match other
        .replace_canary(&canary(1), &canary(next), without_it, &somebody())
        .await
        .unwrap()
    {
        Replaced::NodesLackIt(nodes) => nodes.into_iter().map(|lacking| lacking.node.name).collect(),
        replaced => vec![format!("{replaced:?}")],
    };
    assert_eq!(try_it(2, NodesWithoutIt::Wait).await, ["old alone", "older"]);
    assert_eq!(store.canary().await.unwrap(), Some(canary(1)));
    assert_eq!(store.former_canaries().await.unwrap(), [[0; 0]; 0]);
    assert_eq!(store.audit_head(&claviger_core::Owner::Platform).await.unwrap(), None, "nothing was done");
    store.note_node(&node(2, "old alone", &[2, 1])).await.unwrap();
    assert_eq!(try_it(2, NodesWithoutIt::Wait).await, ["older"]);
    store.forget_node(&[3; 16]).await.unwrap();
    assert_eq!(try_it(2, NodesWithoutIt::Wait).await, ["Done"]);
    assert_eq!(try_it(2, NodesWithoutIt::Wait).await, ["CanaryChanged"]);
    let left_behind = other.replace_canary(&canary(2), &canary(9), NodesWithoutIt::LeaveBehind, &somebody()).await;
    assert_eq!(left_behind.unwrap(), Replaced::Done);
}

pub async fn a_node_that_begins_is_seen_or_sees_the_new_master_key(Fresh { store, other }: Fresh) {
    store.put_canary_if_absent(&canary(1)).await.unwrap();
    let (mut seen, mut refused) = (0, 0);
    for round in 1..=100 {
        let (old, next) = (canary(round), canary(round + 1));
        let begins = async {
            // So that either may come first.
            for _ in 0..round % 4 {
                other.ping().await.unwrap();
            }
            other.note_node(&node(round, "new", &[round])).await.unwrap();
            other.canary().await.unwrap().unwrap()
        };
        let act = somebody();
        let replacing = store.replace_canary(&old, &next, NodesWithoutIt::Wait, &act);
        let (in_use, replaced) = join(begins, replacing).await;
        match replaced.unwrap() {
            Replaced::Done => {
                assert_eq!(in_use, next, "the node would serve with a master key that is not in use");
                refused += 1;
                store.forget_node(&[round; 16]).await.unwrap();
            }
            Replaced::NodesLackIt(nodes) => {
                assert_eq!((nodes.len(), in_use), (1, old.clone()));
                seen += 1;
                store.forget_node(&[round; 16]).await.unwrap();
                assert!(replace_canary(&*store, &old, &next).await);
            }
            Replaced::CanaryChanged => panic!("nobody else replaces it"),
        }
    }
    assert_eq!(seen + refused, 100);
}
