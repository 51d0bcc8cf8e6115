//! Bad tokens, and how many of them an address may show.

use std::time::Duration;

use claviger_app::access::{AuthenticateError, ManagePortal, Principal};
use claviger_app::portal::{CreatePortalLink, OpenPortalError, PortalSessionError};
use claviger_app::{BadTokens, ClientAddress, TokenRecord};
use claviger_core::access::TokenRole;
use claviger_core::portal::PortalRole;
use claviger_core::{Clock, Owner, Timestamp, WorkspaceId};
use claviger_seal::NewToken;
use claviger_testkit::{TestApp, TestSettings, somebody};

const HERE: &str = "203.0.113.9";

/// Who proves tokens that come from one address.
struct Caller<'a> {
    test: &'a TestApp,
    from: ClientAddress,
}

impl<'a> Caller<'a> {
    fn at(test: &'a TestApp, address: &str) -> Self {
        Self { test, from: ClientAddress(address.parse().unwrap()) }
    }

    async fn show(&self, token: &str) -> Result<Principal, AuthenticateError> {
        self.test.app.access.authenticate(token.as_bytes(), self.from).await
    }

    async fn show_unknown(&self) -> AuthenticateError {
        self.show(NewToken::generate().unwrap().reveal_once()).await.unwrap_err()
    }

    /// Shows bad tokens until no look-up is left.
    async fn exhaust(&self) {
        while !matches!(self.show_unknown().await, AuthenticateError::TooMany(_)) {}
        assert!(matches!(self.show_unknown().await, AuthenticateError::TooMany(_)));
    }
}

async fn limited_to(bad_token_limit: u32) -> (TestApp, WorkspaceId) {
    let test = TestApp::with(TestSettings { bad_token_limit, ..TestSettings::default() }).await;
    let workspace = test.workspace("w").await;
    (test, workspace)
}

#[tokio::test]
async fn beyond_the_limit_a_bad_token_costs_the_database_nothing() {
    let (test, workspace) = limited_to(3).await;
    let good = test.runtime_token(&workspace).await;
    let here = Caller::at(&test, HERE);
    here.show(&good).await.unwrap();
    here.exhaust().await;
    // Whatever asks the database from here on fails in another way.
    test.store.close().await;
    for token in [NewToken::generate().unwrap().reveal_once(), "something", &good[..60]] {
        let refused = here.show(token).await;
        assert!(matches!(refused, Err(AuthenticateError::TooMany(_))), "{refused:?}");
    }
    here.show(&good).await.unwrap();
    let there = Caller::at(&test, "203.0.113.10");
    assert!(matches!(there.show_unknown().await, AuthenticateError::Store(_)));
    assert!(matches!(there.show("something").await, Err(AuthenticateError::Malformed)));
}

#[tokio::test]
async fn good_tokens_that_were_never_seen_get_in_from_an_address_over_its_limit() {
    let (test, workspace) = limited_to(3).await;
    let [first, second] = [test.runtime_token(&workspace).await, test.runtime_token(&workspace).await];
    let here = Caller::at(&test, HERE);
    here.exhaust().await;
    assert!(matches!(here.show(&first).await, Err(AuthenticateError::TooMany(_))));
    test.clock.advance(Duration::from_secs(1));
    // A good one gives its look-up back to the next one.
    here.show(&first).await.unwrap();
    here.show(&second).await.unwrap();
    here.show(&first).await.unwrap();
}

#[tokio::test]
async fn one_bad_token_over_and_over_takes_no_look_up_away_from_the_good_ones() {
    let (test, workspace) = limited_to(3).await;
    let good = test.runtime_token(&workspace).await;
    let deleted = NewToken::generate().unwrap();
    let here = Caller::at(&test, HERE);
    here.exhaust().await;
    test.clock.advance(Duration::from_secs(1));
    // This one is looked up, and then known to be unknown.
    assert!(here.show(deleted.reveal_once()).await.is_err());
    test.clock.advance(Duration::from_secs(1));
    assert!(here.show(deleted.reveal_once()).await.is_err());
    here.show(&good).await.unwrap();
}

#[tokio::test]
async fn good_tokens_never_count() {
    let (test, workspace) = limited_to(1).await;
    let here = Caller::at(&test, HERE);
    for _ in 0..10 {
        let token = test.runtime_token(&workspace).await;
        here.show(&token).await.unwrap();
        here.show(&token).await.unwrap();
    }
    assert!(matches!(here.show_unknown().await, AuthenticateError::Unknown));
    assert_eq!(test.app.access.bad_tokens(), BadTokens { refused: 1, limited: 0 });
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_id_are_the_same_to_the_caller_and_to_the_limit() {
    let (test, _) = limited_to(2).await;
    let [stored, shown] = [NewToken::generate().unwrap(), NewToken::generate().unwrap()];
    // The id of one token with the hash of another: what is shown has a known id, and not its secret.
    let record = TokenRecord {
        id: shown.id.clone(),
        hash: *stored.hash.as_bytes(),
        name: "test".to_owned(),
        role: TokenRole::Service,
        workspace: None,
        reveal: false,
        expires_at: None,
        created_at: test.clock.now(),
    };
    test.store.insert_token(&record, &somebody()).await.unwrap();
    let here = Caller::at(&test, HERE);
    // Once from the database, and once from memory.
    for _ in 0..2 {
        let wrong = here.show(shown.reveal_once()).await.unwrap_err();
        assert!(matches!(wrong, AuthenticateError::Unknown), "{wrong:?}");
        let unknown = Caller::at(&test, "203.0.113.10").show_unknown().await;
        assert_eq!(wrong.to_string(), unknown.to_string());
    }
    assert!(matches!(here.show(shown.reveal_once()).await, Err(AuthenticateError::TooMany(_))));
}

#[tokio::test]
async fn an_expired_token_is_nobodys_guess() {
    let (test, workspace) = limited_to(1).await;
    let token = NewToken::generate().unwrap();
    let record = TokenRecord {
        id: token.id.clone(),
        hash: *token.hash.as_bytes(),
        name: "test".to_owned(),
        role: TokenRole::Runtime,
        workspace: Some(workspace),
        reveal: false,
        expires_at: Some(Timestamp::from_millis(1)),
        created_at: Timestamp::from_millis(0),
    };
    test.store.insert_token(&record, &somebody()).await.unwrap();
    let here = Caller::at(&test, HERE);
    for _ in 0..5 {
        assert!(matches!(here.show(token.reveal_once()).await, Err(AuthenticateError::Expired)));
    }
}

#[tokio::test]
async fn links_and_sessions_of_the_portal_count_like_tokens() {
    let (test, workspace) = limited_to(2).await;
    let portal = &test.app.portal;
    let permit = Principal::operator().permit_on::<ManagePortal>(Owner::Workspace(workspace), None).unwrap();
    let link = portal.create(&permit, CreatePortalLink::new(PortalRole::Admin)).await.unwrap();
    let url = portal.reveal_url(&link);
    let secret = url.rsplit('/').next().unwrap();
    let [here, there] = [HERE, "203.0.113.10"].map(|address| ClientAddress(address.parse().unwrap()));
    let session = portal.open("w", secret, here).await.unwrap();
    let cookie = session.reveal_cookie();
    portal.prove(&cookie, here).await.unwrap();

    let unknown = NewToken::generate().unwrap();
    let no_session = format!("{}.w", unknown.reveal_once());
    assert!(matches!(portal.look("w", unknown.reveal_once(), here).await, Err(OpenPortalError::Unknown)));
    assert!(matches!(portal.prove("nonsense", here).await, Err(PortalSessionError::Unknown)));
    assert!(matches!(portal.prove("nonsense", here).await, Err(PortalSessionError::TooMany(_))));
    // One look-up a second is left, and it is used up here.
    assert!(matches!(portal.prove(&no_session, here).await, Err(PortalSessionError::TooMany(_))));
    assert!(matches!(portal.look("w", secret, here).await, Err(OpenPortalError::TooMany(_))));
    assert!(matches!(Caller::at(&test, HERE).show_unknown().await, AuthenticateError::TooMany(_)));
    // Who is in stays in.
    portal.prove(&cookie, here).await.unwrap();
    assert!(matches!(portal.prove(&no_session, there).await, Err(PortalSessionError::Unknown)));
}
