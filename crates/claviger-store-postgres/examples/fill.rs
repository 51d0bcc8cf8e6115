use claviger_core::pool::Position;
use claviger_core::*;
use claviger_store::*;
use claviger_store_postgres::PostgresStore;
use std::time::Instant;

fn owner(n: u64) -> OwnerCopy {
    let id: WorkspaceId = format!("workspace-{n}").parse().unwrap();
    let at = Timestamp::from_millis(1_700_000_000_000);
    let keys = (0..3u64)
        .map(|k| {
            let mut fp = [0u8; 32];
            fp[..8].copy_from_slice(&(n * 3 + k).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
            let mut r = [0u8; 10];
            r[..8].copy_from_slice(&(n * 3 + k).to_be_bytes());
            KeyCopy {
                record: KeyRecord {
                    id: KeyId::new(at, r),
                    provider: "openai".parse().unwrap(),
                    name: None,
                    masked: "sk-abc...wxyz".into(),
                    enabled: true,
                    status: KeyStatus::Active,
                    created_by: Some("bench".into()),
                    created_at: at,
                    updated_at: at,
                    last_used_at: None,
                },
                slot: k as u8,
                position: Position(k + 1),
                sealed: vec![7; 120],
                fingerprint: fp,
            }
        })
        .collect();
    OwnerCopy {
        owner: Owner::Workspace(id),
        kind: OwnerKindCopy::Workspace { name: Some(format!("W {n}")), organization: None, created_at: at },
        data_key: Some(DataKeyCopy { sealed: vec![3; 80], created_at: at }),
        pools: vec![PoolCopy { provider: "openai".parse().unwrap(), generation: 3, next_position: Position(4), keys }],
        tokens: vec![],
    }
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap();
    let total: u64 = args.next().unwrap().parse().unwrap();
    let batch: u64 = args.next().unwrap().parse().unwrap();
    let lanes: u64 = args.next().unwrap().parse().unwrap();
    let store = std::sync::Arc::new(PostgresStore::open(&url, lanes as u32 + 1).await.unwrap());
    let begun = Instant::now();
    let mut tasks = vec![];
    for lane in 0..lanes {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut b = lane;
            while b * batch < total {
                let owners: Vec<_> = (b * batch..((b + 1) * batch).min(total)).map(owner).collect();
                store.put_owners(&owners).await.unwrap();
                b += lanes;
            }
        }));
    }
    for t in tasks {
        t.await.unwrap();
    }
    let took = begun.elapsed();
    println!(
        "{total} owners, batch {batch}, lanes {lanes}: {took:?}, {:.0} owners/min",
        total as f64 / took.as_secs_f64() * 60.0
    );
    let begun = Instant::now();
    println!("{:?} {:?}", store.counts().await.unwrap(), begun.elapsed());
    let begun = Instant::now();
    let mut after = None;
    let mut n = 0;
    while n < 20_000 {
        let p = store.owners(&Page { after, limit: 1000 }).await.unwrap();
        if p.is_empty() {
            break;
        }
        n += p.len();
        after = p.last().map(|c| c.owner.clone());
    }
    println!("read {n} owners in {:?}", begun.elapsed());
    let p = claviger_core::owner::PoolId {
        owner: Owner::Workspace("workspace-77".parse().unwrap()),
        provider: "openai".parse().unwrap(),
    };
    let begun = Instant::now();
    for _ in 0..2000 {
        store.pool(&p).await.unwrap();
    }
    println!("pool read {:?}", begun.elapsed() / 2000);
    let uses: Vec<_> = (0..10_000u64)
        .map(|n| {
            let mut r = [0u8; 10];
            r[..8].copy_from_slice(&(n * 3).to_be_bytes());
            KeyUse {
                pool: claviger_core::owner::PoolId {
                    owner: Owner::Workspace(format!("workspace-{n}").parse().unwrap()),
                    provider: "openai".parse().unwrap(),
                },
                key: KeyId::new(Timestamp::from_millis(1_700_000_000_000), r),
                at: Timestamp::from_millis(1_700_000_000_001),
            }
        })
        .collect();
    let begun = Instant::now();
    store.record_uses(&uses).await.unwrap();
    println!("10k uses {:?}", begun.elapsed());
    let again: Vec<_> = (0..1000).map(owner).collect();
    let begun = Instant::now();
    store.put_owners(&again).await.unwrap();
    println!("1000 again {:?}", begun.elapsed());
}
