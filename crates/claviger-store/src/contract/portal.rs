//! Links to the portal, and its sessions.

use claviger_core::TokenId;
use claviger_core::portal::{PortalMode, PortalRole};
use futures_util::future::join_all;

use super::Fresh;
use super::given::{at, somebody, workspace, workspace_id};
use crate::{AddPortalLinkError, PORTAL_PORTION, Page, PortalGrant, PortalPass, Store};

/// A pass whose id is this letter, from the first second to this one.
pub(super) fn pass(workspace: &str, letter: char, until: u64) -> PortalPass {
    PortalPass {
        id: id(letter),
        hash: [9; 32],
        grant: PortalGrant {
            workspace: workspace_id(workspace),
            role: PortalRole::Admin,
            actor: None,
            providers: Vec::new(),
            mode: PortalMode::Multi,
            embedded: false,
            return_url: None,
        },
        created_at: at(1),
        expires_at: at(until),
    }
}

fn id(letter: char) -> TokenId {
    letter.to_string().repeat(16).parse().unwrap()
}

fn picky(letter: char) -> PortalPass {
    let plain = pass("acme", letter, 100);
    let grant = PortalGrant {
        role: PortalRole::Member,
        actor: Some("user_1".to_owned()),
        providers: vec!["openai".parse().unwrap(), "exa".parse().unwrap()],
        mode: PortalMode::Single,
        embedded: true,
        return_url: Some("https://app.example.com/settings".to_owned()),
        ..plain.grant
    };
    PortalPass { grant, ..plain }
}

async fn open(store: &dyn Store, link: &PortalPass, session: &PortalPass) {
    store.add_portal_link(link, &somebody()).await.unwrap();
    assert!(store.open_portal_link(link, session, &somebody()).await.unwrap());
}

async fn listed(store: &dyn Store, after: Option<char>, limit: u32) -> Vec<TokenId> {
    let page = Page { after: after.map(id), limit };
    let sessions = store.portal_sessions(&workspace_id("acme"), at(50), &page).await.unwrap();
    sessions.into_iter().map(|session| session.id).collect()
}

pub async fn links_and_sessions_read_back(Fresh { store, .. }: Fresh) {
    workspace(&*store, "acme").await;
    let acme = workspace_id("acme");
    for link in [pass("acme", 'a', 100), picky('b')] {
        store.add_portal_link(&link, &somebody()).await.unwrap();
        assert_eq!(store.portal_link(&acme, &link.id).await.unwrap().as_ref(), Some(&link));
        assert_eq!(store.portal_session(&acme, &link.id).await.unwrap(), None, "a link is no session");
    }
    let session = picky('c');
    assert!(store.open_portal_link(&picky('b'), &session, &somebody()).await.unwrap());
    assert_eq!(store.portal_session(&acme, &session.id).await.unwrap().as_ref(), Some(&session));
    assert_eq!(store.portal_link(&acme, &session.id).await.unwrap(), None, "a session is no link");
    assert_eq!(store.portal_link(&acme, &id('b')).await.unwrap(), None, "it was used");
}

pub async fn a_link_to_nobodys_portal_is_refused(Fresh { store, .. }: Fresh) {
    let refused = store.add_portal_link(&pass("acme", 'a', 100), &somebody()).await;
    assert!(matches!(refused, Err(AddPortalLinkError::NoWorkspace)), "{refused:?}");
}

pub async fn of_several_that_open_a_link_at_once_one_does(Fresh { store, other }: Fresh) {
    workspace(&*store, "acme").await;
    let link = pass("acme", 'z', 100);
    store.add_portal_link(&link, &somebody()).await.unwrap();
    let sessions: Vec<_> = ('a'..='p').map(|letter| pass("acme", letter, 100)).collect();
    let stores = [&*store, &*other].into_iter().cycle();
    let act = somebody();
    let opened =
        join_all(sessions.iter().zip(stores).map(|(session, store)| store.open_portal_link(&link, session, &act)));
    let opened = opened.await.into_iter().filter(|opened| *opened.as_ref().unwrap()).count();
    assert_eq!((opened, listed(&*store, None, 100).await.len()), (1, 1));
}

pub async fn an_expired_link_opens_nothing(Fresh { store, .. }: Fresh) {
    workspace(&*store, "acme").await;
    let link = pass("acme", 'a', 20);
    store.add_portal_link(&link, &somebody()).await.unwrap();
    let late = PortalPass { created_at: at(20), ..pass("acme", 'b', 100) };
    assert!(!store.open_portal_link(&link, &late, &somebody()).await.unwrap());
    assert_eq!(listed(&*store, None, 10).await, []);
    let in_time = PortalPass { created_at: at(19), ..late };
    assert!(store.open_portal_link(&link, &in_time, &somebody()).await.unwrap());
}

pub async fn sessions_are_listed_and_ended_in_their_workspace(Fresh { store, .. }: Fresh) {
    workspace(&*store, "acme").await;
    workspace(&*store, "other").await;
    let link = pass("acme", 'z', 100);
    for (letter, until) in [('d', 100), ('b', 51), ('c', 50), ('a', 100)] {
        open(&*store, &link, &pass("acme", letter, until)).await;
    }
    open(&*store, &pass("other", 'z', 100), &pass("other", 'e', 100)).await;
    store.add_portal_link(&link, &somebody()).await.unwrap();
    assert_eq!(listed(&*store, None, 10).await, [id('a'), id('b'), id('d')]);
    assert_eq!(listed(&*store, Some('a'), 1).await, [id('b')]);

    let (acme, other) = (workspace_id("acme"), workspace_id("other"));
    assert!(!store.end_portal_session(&other, &id('a'), &somebody()).await.unwrap(), "it is another workspace's");
    assert!(!store.end_portal_session(&acme, &id('z'), &somebody()).await.unwrap(), "it is a link");
    assert!(store.end_portal_session(&acme, &id('a'), &somebody()).await.unwrap());
    assert!(!store.end_portal_session(&acme, &id('a'), &somebody()).await.unwrap());
    assert_eq!(store.portal_session(&acme, &id('a')).await.unwrap(), None);
    assert_eq!(listed(&*store, None, 10).await, [id('b'), id('d')]);
}

pub async fn links_and_sessions_go_with_their_workspace(Fresh { store, .. }: Fresh) {
    workspace(&*store, "acme").await;
    open(&*store, &pass("acme", 'z', 100), &pass("acme", 'a', 100)).await;
    let link = pass("acme", 'b', 100);
    store.add_portal_link(&link, &somebody()).await.unwrap();
    assert!(store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap());
    assert!(!store.open_portal_link(&link, &pass("acme", 'c', 100), &somebody()).await.unwrap());
    workspace(&*store, "acme").await;
    assert_eq!(listed(&*store, None, 10).await, []);
    assert_eq!(store.portal_link(&link.grant.workspace, &link.id).await.unwrap(), None);
}

pub async fn putting_a_workspace_ends_its_sessions(Fresh { store, .. }: Fresh) {
    let owner = workspace(&*store, "acme").await;
    open(&*store, &pass("acme", 'z', 100), &pass("acme", 'a', 100)).await;
    let copies = store.owners(&Page { after: None, limit: 10 }).await.unwrap();
    let copy: Vec<_> = copies.into_iter().filter(|copy| copy.owner == owner).collect();
    store.put_owners(&copy).await.unwrap();
    assert_eq!(listed(&*store, None, 10).await, []);
}

pub async fn expired_links_and_sessions_are_forgotten_in_portions(Fresh { store, .. }: Fresh) {
    workspace(&*store, "acme").await;
    open(&*store, &pass("acme", 'z', 100), &pass("acme", 'a', 20)).await;
    store.add_portal_link(&pass("acme", 'b', 30), &somebody()).await.unwrap();
    store.add_portal_link(&pass("acme", 'c', 40), &somebody()).await.unwrap();
    assert_eq!(store.forget_portal(at(20)).await.unwrap(), 0);
    assert_eq!(store.forget_portal(at(40)).await.unwrap(), 2);
    assert_eq!(store.forget_portal(at(40)).await.unwrap(), 0);
    assert!(store.portal_link(&workspace_id("acme"), &id('c')).await.unwrap().is_some());

    let many = (0..=PORTAL_PORTION).map(|number| {
        let letters = "abcdefghijklmnop".chars().collect::<Vec<_>>();
        let digits = (0..4).map(|place| letters[usize::try_from(number >> (4 * place) & 15).unwrap()]);
        let id: String = digits.chain("zzzzzzzzzzzz".chars()).collect();
        PortalPass { id: id.parse().unwrap(), ..pass("acme", 'a', 10) }
    });
    for link in many {
        store.add_portal_link(&link, &somebody()).await.unwrap();
    }
    assert_eq!(store.forget_portal(at(11)).await.unwrap(), u64::from(PORTAL_PORTION));
    assert_eq!(store.forget_portal(at(11)).await.unwrap(), 1);
}
