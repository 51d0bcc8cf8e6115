//! Tests that what is asked among very many workspaces goes by ranges of indexes, as SQLite plans it.

use sqlx::{AssertSqlSafe, Row as _};

use crate::{SqliteStore, workspace};

async fn plan(store: &SqliteStore, text: &str) -> Vec<String> {
    let explained = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")));
    let explained = explained.bind("b").bind("b").bind("c").bind(50);
    let lines = explained.fetch_all(&store.readers).await.unwrap();
    lines.iter().map(|line| line.get("detail")).collect()
}

#[tokio::test]
async fn workspaces_are_looked_for_in_ranges_of_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("claviger.db")).await.unwrap();
    let by_id = plan(&store, workspace::PAGE_BY_ID).await;
    assert_eq!(by_id, ["SEARCH workspace USING PRIMARY KEY (owner_kind=? AND owner_id>? AND owner_id<?)"]);
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
