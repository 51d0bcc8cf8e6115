//! Keys' health beyond one request: stored, found by other processes, tried by probes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use claviger_app::keyring::{LeaseError, PlatformKey, ProbeAnswer, Prober, Unreachable};
use claviger_core::catalogue::Probe;
use claviger_core::health::AilmentKind;
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, KeySecret, KeyStatus, Owner, Provider, ProviderId, WorkspaceId};
use claviger_testkit::{TestApp, TestSettings, answered, random_secret};
use zeroize::Zeroizing;

fn openai() -> ProviderId {
    "openai".parse().unwrap()
}

fn pool(workspace: &WorkspaceId) -> PoolId {
    PoolId { owner: Owner::Workspace(workspace.clone()), provider: openai() }
}

/// Leases a key and has the provider answer so.
async fn ask(test: &TestApp, workspace: &WorkspaceId, status: u16) -> Result<KeyId, LeaseError> {
    let (_secret, lease) = test.app.keyring.lease(workspace, &openai()).await?;
    let key = lease.key_id().clone();
    lease.end(answered(status));
    Ok(key)
}

/// Has the workspace's keys refused until all are rejected.
async fn reject_all(test: &TestApp, workspace: &WorkspaceId, keys: u32) {
    for _ in 0..2 {
        test.clock.advance(Duration::from_secs(1));
        for _ in 0..keys {
            ask(test, workspace, 401).await.unwrap();
        }
    }
    assert!(matches!(ask(test, workspace, 401).await, Err(LeaseError::Cooling { .. })));
}

async fn stored(test: &TestApp, workspace: &WorkspaceId) -> Vec<Option<AilmentKind>> {
    let record = test.store.pool(&pool(workspace)).await.unwrap();
    record.keys.iter().map(|key| key.ailment.map(|ailment| ailment.kind)).collect()
}

async fn statuses(test: &TestApp, workspace: &WorkspaceId) -> Vec<KeyStatus> {
    let listed = test.app.keys.list(&test.list_keys(workspace)).await.unwrap();
    listed.iter().map(|key| key.standing.status).collect()
}

#[tokio::test]
async fn a_rejected_and_an_exhausted_key_are_stored_and_rest_in_other_processes_too() {
    let test = TestApp::new().await;
    let acme = test.workspace("acme").await;
    let other = test.beside().await;
    for _ in 0..3 {
        test.key(&acme, "openai").await;
    }
    ask(&test, &acme, 402).await.unwrap();
    test.app.keyring.store_ailments().await.unwrap();
    assert_eq!(stored(&test, &acme).await, [Some(AilmentKind::Exhausted), None, None]);
    let mut used = Vec::new();
    for _ in 0..4 {
        used.push(ask(&other, &acme, 200).await.unwrap());
    }
    assert_eq!(used[..2], used[2..], "the exhausted key has no turn");
    assert_ne!(used[0], used[1]);
    assert_eq!(statuses(&other, &acme).await, [KeyStatus::Exhausted, KeyStatus::Active, KeyStatus::Active]);

    other.clock.advance(Duration::from_mins(5));
    for _ in 0..3 {
        ask(&other, &acme, 200).await.unwrap();
    }
    other.app.keyring.store_ailments().await.unwrap();
    assert_eq!(stored(&test, &acme).await, [None, None, None], "one good answer heals");
}

#[tokio::test]
async fn a_limit_of_seconds_is_nobody_elses_and_not_stored() {
    let test = TestApp::new().await;
    let acme = test.workspace("acme").await;
    test.key(&acme, "openai").await;
    ask(&test, &acme, 429).await.unwrap();
    test.app.keyring.store_ailments().await.unwrap();
    assert_eq!(stored(&test, &acme).await, [None]);
    assert_eq!(statuses(&test, &acme).await, [KeyStatus::Cooling]);
    let Err(LeaseError::Cooling { wait }) = ask(&test, &acme, 200).await else { panic!("it rests") };
    assert_eq!(wait, Duration::from_secs(1));
}

#[tokio::test]
async fn what_is_found_out_of_a_key_is_not_told_of_the_secret_that_replaced_it() {
    let test = TestApp::new().await;
    let acme = test.workspace("acme").await;
    let key = test.key(&acme, "openai").await;
    reject_all(&test, &acme, 1).await;
    // The secret is replaced before the finding is stored.
    let put = claviger_testkit::put_key("openai", &random_secret());
    test.app.keys.replace(&test.manage_keys(&acme), &key.id, put).await.unwrap();
    test.app.keyring.store_ailments().await.unwrap();
    assert_eq!(stored(&test, &acme).await, [None]);
    assert!(ask(&test, &acme, 200).await.is_ok());
}

/// Answers probes with the statuses it was given, one after the other; with none left it cannot be reached.
#[derive(Debug, Default)]
struct Scripted {
    statuses: Mutex<VecDeque<u16>>,
}

impl Scripted {
    fn says(&self, statuses: &[u16]) {
        *self.statuses.lock().unwrap() = statuses.iter().copied().collect();
    }

    fn unsaid(&self) -> usize {
        self.statuses.lock().unwrap().len()
    }
}

#[async_trait]
impl Prober for Scripted {
    async fn probe(&self, _: &Provider, _: &Probe, _: &KeySecret) -> Result<ProbeAnswer, Unreachable> {
        let status = self.statuses.lock().unwrap().pop_front().ok_or(Unreachable)?;
        Ok(ProbeAnswer { status, headers: Vec::new(), body: Vec::new() })
    }
}

async fn probed() -> (TestApp, Arc<Scripted>) {
    let prober = Arc::new(Scripted::default());
    let settings = TestSettings { prober: Some(Arc::clone(&prober) as _), ..TestSettings::default() };
    (TestApp::with(settings).await, prober)
}

#[tokio::test]
async fn a_rejected_key_is_tried_by_a_probe_and_not_by_requests() {
    let (test, prober) = probed().await;
    let acme = test.workspace("acme").await;
    test.key(&acme, "openai").await;
    reject_all(&test, &acme, 1).await;
    test.app.keyring.store_ailments().await.unwrap();
    prober.says(&[401, 200]);
    test.app.keyring.probe_rejected().await.unwrap();
    assert_eq!(prober.unsaid(), 2, "its rest is not over");
    test.clock.advance(Duration::from_mins(1));
    assert!(matches!(ask(&test, &acme, 200).await, Err(LeaseError::Cooling { .. })));
    test.app.keyring.probe_rejected().await.unwrap();
    test.app.keyring.probe_rejected().await.unwrap();
    assert_eq!(prober.unsaid(), 1, "it was refused again, and rests for twice as long");
    test.clock.advance(Duration::from_mins(2));
    test.app.keyring.probe_rejected().await.unwrap();
    assert_eq!(prober.unsaid(), 0);
    assert!(ask(&test, &acme, 200).await.is_ok());
    assert_eq!(stored(&test, &acme).await, [None]);
}

#[tokio::test]
async fn a_probe_that_proves_nothing_loses_no_key() {
    let (test, prober) = probed().await;
    let acme = test.workspace("acme").await;
    test.key(&acme, "openai").await;
    reject_all(&test, &acme, 1).await;
    test.app.keyring.store_ailments().await.unwrap();
    prober.says(&[]);
    test.clock.advance(Duration::from_mins(1));
    test.app.keyring.probe_rejected().await.unwrap();
    assert!(ask(&test, &acme, 200).await.is_ok(), "a request tries it then");
}

#[tokio::test]
async fn a_key_that_is_refused_once_is_probed_at_once() {
    let (test, prober) = probed().await;
    let acme = test.workspace("acme").await;
    test.key(&acme, "openai").await;
    for (probe, expected) in [(200, KeyStatus::Active), (401, KeyStatus::Rejected)] {
        test.clock.advance(Duration::from_mins(2));
        prober.says(&[probe]);
        ask(&test, &acme, 401).await.unwrap();
        test.clock.advance(Duration::from_millis(5));
        test.app.keyring.suspects_come().await;
        test.app.keyring.probe_suspects().await;
        assert_eq!((prober.unsaid(), statuses(&test, &acme).await), (0, vec![expected]));
    }
    assert_eq!(stored(&test, &acme).await, [Some(AilmentKind::Rejected)]);
}

#[tokio::test]
async fn an_exhausted_key_that_was_tested_is_tried_again_in_other_processes_too() {
    let (test, prober) = probed().await;
    let acme = test.workspace("acme").await;
    let key = test.key(&acme, "openai").await;
    let other = test.beside().await;
    ask(&test, &acme, 402).await.unwrap();
    test.app.keyring.store_ailments().await.unwrap();
    assert!(matches!(ask(&other, &acme, 200).await, Err(LeaseError::Cooling { .. })));
    for clock in [&test.clock, &other.clock] {
        clock.advance(Duration::from_secs(10));
    }
    // Somebody paid, and had it tested.
    prober.says(&[200]);
    test.app.keyring.test(&test.manage_keys(&acme), &key.id).await.unwrap();
    assert_eq!(stored(&test, &acme).await, [Some(AilmentKind::Exhausted)], "whether it can pay a request shows");
    // The feed tells of it soon.
    let watching = other.app.watch();
    let heard = async {
        while ask(&other, &acme, 200).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        lost = watching => panic!("{lost}"),
        () = heard => {}
    }
    other.app.keyring.store_ailments().await.unwrap();
    assert_eq!(stored(&test, &acme).await, [None]);
    assert_eq!(statuses(&test, &acme).await, [KeyStatus::Active]);
}

#[tokio::test]
async fn two_processes_probe_a_key_once() {
    let (test, prober) = probed().await;
    let acme = test.workspace("acme").await;
    test.key(&acme, "openai").await;
    reject_all(&test, &acme, 1).await;
    test.app.keyring.store_ailments().await.unwrap();
    test.clock.advance(Duration::from_mins(1));
    // As another process would have it: the claim is in the database.
    let now = claviger_core::Clock::now(&*test.clock);
    let claimed = test.store.claim_probes(now, now.after(Duration::from_secs(30)), 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
    prober.says(&[200]);
    test.app.keyring.probe_rejected().await.unwrap();
    assert_eq!(prober.unsaid(), 1);
}

#[tokio::test]
async fn the_operators_keys_of_the_settings_rest_too() {
    let secrets = [random_secret(), random_secret()];
    let given = secrets.iter().zip(1..).map(|(secret, number)| PlatformKey {
        provider: openai(),
        number,
        setting: format!("platform.openai_api_key_{number}"),
        secret: KeySecret::parse(&Zeroizing::new(secret.clone())).unwrap(),
    });
    let mut settings = TestSettings { platform_keys: given.collect(), ..TestSettings::default() };
    settings.rotation.platform_fallback = true;
    let test = TestApp::with(settings).await;
    let acme = test.workspace("acme").await;
    let first = ask(&test, &acme, 402).await.unwrap();
    let second = ask(&test, &acme, 200).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(ask(&test, &acme, 200).await.unwrap(), second);
    test.app.keyring.store_ailments().await.unwrap();
    test.clock.advance(Duration::from_mins(5));
    assert_eq!(ask(&test, &acme, 200).await.unwrap(), first);
}
