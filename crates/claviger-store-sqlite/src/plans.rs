//! Tests that what is asked among very many workspaces, or of very long audit trails, goes by ranges of indexes, as SQLite plans it.

use sqlx::{AssertSqlSafe, Row as _};

use crate::{SqliteStore, audit, workspace};

async fn plan(store: &SqliteStore, text: &str) -> Vec<String> {
    let explained = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")));
    let lines = explained.fetch_all(&store.readers).await.unwrap();
    lines.iter().map(|line| line.get("detail")).collect()
}

#[tokio::test]
async fn workspaces_are_looked_for_in_ranges_of_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("claviger.db")).await.unwrap();
    let by_id = plan(&store, workspace::PAGE_BY_ID).await;
    assert_eq!(by_id, ["SEARCH workspace USING PRIMARY KEY (owner_kind=? AND owner_id>? AND owner_id<?)"]);
    let of_organization = plan(&store, workspace::PAGE_OF).await;
    let search =
        "SEARCH workspace USING INDEX workspace_organization (organization_id=? AND owner_kind=? AND owner_id>?)";
    assert_eq!(of_organization, [search]);
    let by_name = plan(&store, workspace::PAGE_BY_NAME).await;
    let searches: Vec<_> = by_name.iter().filter(|step| step.contains(" workspace ")).collect();
    assert_eq!(
        searches,
        [
            "SEARCH workspace USING INDEX workspace_name (<expr>=? AND owner_id>?)",
            "SEARCH workspace USING INDEX workspace_name (<expr>>? AND <expr><?)",
        ]
    );
}

#[tokio::test]
async fn a_filtered_page_of_an_audit_trail_looks_at_no_more_than_its_range() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("claviger.db")).await.unwrap();
    let page = plan(&store, audit::NEWEST).await;
    let range = "SEARCH audit_entry USING PRIMARY KEY (owner_kind=? AND owner_id=? AND sequence>? AND sequence<?)";
    assert_eq!(page, [range]);
    let actors = plan(&store, audit::ACTORS).await;
    let newest = "SEARCH audit_entry USING PRIMARY KEY (owner_kind=? AND owner_id=?)";
    assert!(actors.iter().any(|step| step == newest), "{actors:?}");
    assert!(actors.iter().all(|step| !step.starts_with("SCAN audit_entry")), "{actors:?}");
}
