//! What callers show.

use claviger_core::access::TokenRole;

use super::Fresh;
use super::given::{at, somebody, token, workspace, workspace_id};
use crate::{InsertTokenError, Page, Store, TokenRecord};

pub async fn a_token_reads_back_as_it_was_stored(Fresh { store, .. }: Fresh) {
    workspace(&*store, "acme").await;
    let tokens = [
        token("aaaaaaaaaaaaaaaa", TokenRole::Service, None),
        token("bbbbbbbbbbbbbbbb", TokenRole::Admin, Some("acme")),
        TokenRecord { expires_at: Some(at(99)), ..token("cccccccccccccccc", TokenRole::Member, Some("acme")) },
        TokenRecord { reveal: true, ..token("dddddddddddddddd", TokenRole::Runtime, Some("acme")) },
    ];
    for token in &tokens {
        store.insert_token(token, &somebody()).await.unwrap();
    }
    for token in &tokens {
        assert_eq!(store.token(token.id.as_str()).await.unwrap().as_ref(), Some(token));
    }
    assert_eq!(store.token("eeeeeeeeeeeeeeee").await.unwrap(), None);
    assert_eq!(store.token("not a token's id").await.unwrap(), None);
}

pub async fn a_token_of_a_workspace_that_does_not_exist_is_refused(Fresh { store, .. }: Fresh) {
    let refused = store.insert_token(&token("aaaaaaaaaaaaaaaa", TokenRole::Runtime, Some("acme")), &somebody()).await;
    assert!(matches!(refused, Err(InsertTokenError::NoWorkspace)), "{refused:?}");
    assert_eq!(store.token("aaaaaaaaaaaaaaaa").await.unwrap(), None);
}

async fn page(store: &dyn Store, workspace: Option<&str>, after: Option<&str>, limit: u32) -> Vec<char> {
    let page = Page { after: after.map(|id| id.parse().unwrap()), limit };
    let tokens = store.tokens(workspace.map(workspace_id).as_ref(), &page).await.unwrap();
    tokens.iter().map(|token| token.id.as_str().chars().next().unwrap()).collect()
}

pub async fn tokens_come_in_pages_of_one_workspace_or_all(Fresh { store, .. }: Fresh) {
    workspace(&*store, "acme").await;
    workspace(&*store, "other").await;
    for (letter, workspace) in
        [('d', Some("acme")), ('a', Some("other")), ('c', Some("acme")), ('b', None), ('e', Some("acme"))]
    {
        let role = if workspace.is_some() { TokenRole::Runtime } else { TokenRole::Service };
        store.insert_token(&token(&letter.to_string().repeat(16), role, workspace), &somebody()).await.unwrap();
    }
    assert_eq!(page(&*store, None, None, 10).await, ['a', 'b', 'c', 'd', 'e']);
    assert_eq!(page(&*store, None, Some("bbbbbbbbbbbbbbbb"), 2).await, ['c', 'd']);
    assert_eq!(page(&*store, Some("acme"), None, 2).await, ['c', 'd']);
    assert_eq!(page(&*store, Some("acme"), Some("dddddddddddddddd"), 2).await, ['e']);
    assert!(page(&*store, Some("nobody"), None, 2).await.is_empty());
}

pub async fn a_deleted_token_is_gone(Fresh { store, .. }: Fresh) {
    let kept = token("aaaaaaaaaaaaaaaa", TokenRole::Service, None);
    let deleted = token("bbbbbbbbbbbbbbbb", TokenRole::Service, None);
    store.insert_token(&kept, &somebody()).await.unwrap();
    store.insert_token(&deleted, &somebody()).await.unwrap();
    assert!(store.delete_token(&deleted.id, &somebody()).await.unwrap());
    assert!(!store.delete_token(&deleted.id, &somebody()).await.unwrap());
    assert_eq!(store.token(deleted.id.as_str()).await.unwrap(), None);
    assert_eq!(store.token(kept.id.as_str()).await.unwrap(), Some(kept));
}
