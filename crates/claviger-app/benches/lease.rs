//! One lease of a pool in memory: looked up, its turn taken, its key opened, counted, ended.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use criterion::{Criterion, criterion_group, criterion_main};

use claviger_app::ClientAddress;
use claviger_core::ProviderId;
use claviger_testkit::{TestApp, answered};

fn lease(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let test = runtime.block_on(TestApp::new());
    let workspace = runtime.block_on(async {
        let workspace = test.workspace("bench").await;
        for _ in 0..3 {
            test.key(&workspace, "openai").await;
        }
        workspace
    });
    let token = runtime.block_on(test.runtime_token(&workspace));
    let provider: ProviderId = "openai".parse().expect("a provider id");
    // Brings pool and token into memory, so that what is measured waits for nothing.
    runtime.block_on(async {
        drop(test.app.keyring.lease(&workspace, &provider).await.expect("a key"));
        test.app.access.authenticate(token.as_bytes(), ClientAddress::UNKNOWN).await.expect("a valid token");
    });
    criterion.bench_function("lease", |bencher| {
        bencher.iter(|| {
            let leased = ready(test.app.keyring.lease(&workspace, &provider));
            let (secret, lease) = leased.expect("a key");
            std::hint::black_box(secret.expose_to_provider());
            lease.end(answered(200));
        });
    });
    criterion.bench_function("authenticate", |bencher| {
        bencher.iter(|| {
            ready(test.app.access.authenticate(token.as_bytes(), ClientAddress::UNKNOWN)).expect("a valid token")
        });
    });
}

/// What a future gives that waits for nothing.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it is not in memory"),
    }
}

criterion_group!(benches, lease);
criterion_main!(benches);
