//! Reading a long audit trail by a filter.

use claviger_app::access::{Permit, Principal, ReadAudit};
use claviger_app::{AuditFilter, Page, Store};
use claviger_core::Owner;
use claviger_core::audit::{AuditEntry, AuditHash, AuditHead};
use claviger_store::TrailCopy;
use claviger_testkit::TestApp;

/// How many entries are looked through for one page.
const SEARCHED: u64 = 10_000;

/// A trail of so many entries, all of them Ada's but these.
async fn fill(store: &dyn Store, owner: &Owner, length: u64, eves: &[u64]) {
    let there = store.audit_head(owner).await.unwrap().unwrap();
    let first = store.audit_entries(owner, &Page { after: None, limit: 1 }).await.unwrap().remove(0);
    let entries = (1..=length).map(|sequence| {
        let actor = if eves.contains(&sequence) { "eve" } else { "ada" };
        AuditEntry { sequence, actor: actor.to_owned(), hash: AuditHash::NONE, ..first.clone() }
    });
    store.put_audit(&[TrailCopy { owner: owner.clone(), there, entries: entries.collect() }]).await.unwrap();
    assert_eq!(store.audit_head(owner).await.unwrap(), Some(AuditHead { sequence: length, hash: AuditHash::NONE }));
}

#[tokio::test]
async fn a_filtered_page_looks_through_so_much_and_the_next_one_goes_on() {
    let test = TestApp::new().await;
    let owner = Owner::Workspace(test.workspace("acme").await);
    let eves = [7, 5_001, 5_002, 5_003, 24_000];
    fill(&*test.store, &owner, 2 * SEARCHED + 5_000, &eves).await;
    let permit: Permit<ReadAudit> = Principal::operator().permit_on(owner, None).unwrap();
    let log = async |actor: &str, after, limit| {
        let filter = AuditFilter { provider: None, actor: Some(actor.to_owned()) };
        let page = test.app.audit.log(&permit, &filter, &Page { after, limit }).await.unwrap();
        (page.entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(log("eve", None, 2).await, (vec![24_000], Some(15_001)));
    assert_eq!(log("eve", Some(15_001), 2).await, (vec![5_003, 5_002], Some(5_002)));
    assert_eq!(log("eve", Some(15_001), 3).await, (vec![5_003, 5_002, 5_001], Some(5_001)));
    assert_eq!(log("eve", Some(5_002), 2).await, (vec![5_001, 7], None));
    assert_eq!(log("nobody", None, 2).await, (vec![], Some(15_001)));
    assert_eq!(log("nobody", Some(15_001), 2).await, (vec![], Some(5_001)));
    assert_eq!(log("nobody", Some(5_001), 2).await, (vec![], None));
    // A place that is none of the trail's is as good as its end.
    assert_eq!(log("eve", Some(u64::MAX), 2).await, log("eve", None, 2).await);
    assert_eq!(log("ada", None, 2).await, (vec![25_000, 24_999], Some(24_999)));

    let all = test.app.audit.log(&permit, &AuditFilter::default(), &Page { after: Some(3), limit: 2 }).await.unwrap();
    assert_eq!((all.entries.len(), all.next), (2, None));
    assert_eq!(test.app.audit.actors(&permit).await.unwrap(), ["ada", "eve"]);
    let alone = &test.store.audit_actors(permit.on(), 500, 9).await.unwrap();
    assert_eq!(alone, &["ada"]);
}
