//! Databases and users of their own for tests, on the server that all tests share.

use std::sync::Mutex;

use sqlx::postgres::PgQueryResult;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// An empty database that goes with this value, and the users that were made for it.
pub(crate) struct Database {
    pub(crate) name: String,
    server: String,
    users: Mutex<Vec<String>>,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let server = claviger_test_services::shared_postgres().unwrap();
        let name = format!("claviger_test_{:016x}", rand::random::<u64>());
        let mut db = PgConnection::connect(&server).await.unwrap();
        run(&mut db, &format!("CREATE DATABASE {name}")).await.unwrap();
        db.close().await.unwrap();
        Self { name, server, users: Mutex::default() }
    }

    /// As the superuser.
    pub(crate) fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    /// As another user.
    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        format!("postgres://{user}:{password}@{}/{}", self.place(), self.name)
    }

    /// Host and port.
    pub(crate) fn place(&self) -> &str {
        let (_, rest) = self.server.split_once('@').unwrap();
        rest.split_once('/').unwrap().0
    }

    /// A connection such as an operator's shell has.
    pub(crate) async fn shell(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    /// Makes a user that may connect and nothing else; answers its name and password.
    pub(crate) async fn user(&self) -> (String, String) {
        let user = format!("claviger_test_{:016x}", rand::random::<u64>());
        let password = format!("{:032x}", rand::random::<u128>());
        let mut db = self.shell().await;
        run(&mut db, &format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'")).await.unwrap();
        db.close().await.unwrap();
        self.users.lock().unwrap().push(user.clone());
        (user, password)
    }

    /// Ends all connections to the database but this one.
    pub(crate) async fn end_connections(&self, db: &mut PgConnection) {
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
        )
        .bind(&self.name)
        .execute(db)
        .await
        .unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let mut statements = vec![format!("DROP DATABASE {} WITH (FORCE)", self.name)];
        statements.extend(self.users.lock().unwrap().iter().map(|user| format!("DROP ROLE {user}")));
        let server = self.server.clone();
        // The test's own runtime is busy with dropping this.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut db = PgConnection::connect(&server).await.unwrap();
                for statement in statements {
                    run(&mut db, &statement).await.unwrap();
                }
            });
        });
        let dropped = dropping.join().is_ok();
        assert!(dropped || std::thread::panicking(), "the test's database {} could not be dropped", self.name);
    }
}

/// Runs SQL written by hand.
pub(crate) async fn run(db: &mut PgConnection, sql: &str) -> Result<PgQueryResult, String> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.map_err(|error| error.to_string())
}
