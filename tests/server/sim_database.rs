//! A database such as Sim has it, and what it seals.

use aes_gcm::aead::consts::U16;
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadInOut, AesGcm, Key, KeyInit, Nonce};
use claviger_test_services::Database;
use claviger_testkit::random_secret;
use data_encoding::HEXLOWER;

type Cipher = AesGcm<Aes256, U16>;

/// What there is of schema and rows, in a form that shows every change: also of what was rewritten and is equal.
const EVERYTHING: &str = "
    SELECT c.oid, c.relname, c.relkind, c.relfilenode, c.relacl FROM pg_class AS c
     WHERE c.relnamespace = 'public'::regnamespace ORDER BY c.oid;
    SELECT c.relname, query_to_xml(format('SELECT ctid, xmin, * FROM public.%I AS t ORDER BY ctid', c.relname), true, true, '')
      FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY c.relname;";

/// The tables that are around those of keys.
const AROUND: &str = "
    CREATE TABLE organization (id text PRIMARY KEY, name text NOT NULL);
    CREATE TABLE workspace (id text PRIMARY KEY, name text NOT NULL,
        organization_id text REFERENCES organization ON DELETE SET NULL);";

/// As Sim had it first: one key a provider, without a name.
const ONE: &str = "
    CREATE TABLE workspace_byok_keys (
        id text PRIMARY KEY, workspace_id text NOT NULL, provider_id text NOT NULL, encrypted_api_key text NOT NULL,
        created_by text, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now());
    CREATE UNIQUE INDEX workspace_byok_provider_unique ON workspace_byok_keys (workspace_id, provider_id);";

/// As it has it now, for both owners.
const SEVERAL: &str = "
    CREATE TABLE workspace_byok_keys (
        id text PRIMARY KEY, workspace_id text NOT NULL, provider_id text NOT NULL, encrypted_api_key text NOT NULL,
        name text, created_by text,
        created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now());
    CREATE INDEX workspace_byok_workspace_provider_idx ON workspace_byok_keys (workspace_id, provider_id);
    CREATE TABLE organization_byok_keys (
        id text PRIMARY KEY, organization_id text NOT NULL, provider_id text NOT NULL, encrypted_api_key text NOT NULL,
        name text, created_by text,
        created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now());
    CREATE INDEX organization_byok_organization_provider_idx ON organization_byok_keys (organization_id, provider_id);";

/// Which tables of keys there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    One,
    Several,
}

/// A row of a table of keys.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) id: &'a str,
    /// `workspace` or `organization`, and its id.
    pub(crate) owner: (&'a str, &'a str),
    pub(crate) provider: &'a str,
    /// In seconds after some point in time.
    pub(crate) created: u32,
    pub(crate) name: Option<&'a str>,
    pub(crate) created_by: Option<&'a str>,
}

impl<'a> Row<'a> {
    pub(crate) fn of_workspace(id: &'a str, workspace: &'a str, provider: &'a str, created: u32) -> Self {
        Self { id, owner: ("workspace", workspace), provider, created, name: None, created_by: None }
    }
}

/// A database of a test's own, which goes with this value.
pub(crate) struct SimDatabase {
    database: Database,
    encryption_key: [u8; 32],
}

impl SimDatabase {
    pub(crate) fn new(shape: Shape) -> Self {
        let new = Self::empty();
        new.execute(AROUND);
        new.execute(if shape == Shape::One { ONE } else { SEVERAL });
        new
    }

    /// One with nothing in it.
    pub(crate) fn empty() -> Self {
        let encryption_key = random_secret().as_bytes()[..32].try_into().unwrap();
        Self { database: Database::new("sim").unwrap(), encryption_key }
    }

    /// Its URL, for the superuser with its password.
    pub(crate) fn url(&self) -> String {
        self.database.url()
    }

    /// Its URL without a password, and the password.
    pub(crate) fn bare_url(&self) -> (String, String) {
        let url = self.url();
        let (_, user) = url.split_once("://").unwrap();
        let (_, password) = user.split_once('@').unwrap().0.split_once(':').unwrap();
        (url.replace(&format!(":{password}@"), "@"), password.to_owned())
    }

    /// Its URL for another user.
    pub(crate) fn url_as(&self, user: &str, password: &str) -> String {
        format!("postgres://{user}:{password}@{}", self.url().split_once('@').unwrap().1)
    }

    /// Sim's setting `ENCRYPTION_KEY`.
    pub(crate) fn encryption_key(&self) -> String {
        HEXLOWER.encode(&self.encryption_key)
    }

    /// As Sim seals it.
    pub(crate) fn seal(&self, secret: &str) -> String {
        let nonce: [u8; 16] = random_secret().as_bytes()[..16].try_into().unwrap();
        let mut text = secret.as_bytes().to_vec();
        let cipher = Cipher::new(&Key::<Cipher>::from(self.encryption_key));
        let tag = cipher.encrypt_inout_detached(&Nonce::from(nonce), &[], text.as_mut_slice().into()).unwrap();
        format!("{}:{}:{}", HEXLOWER.encode(&nonce), HEXLOWER.encode(&text), HEXLOWER.encode(&tag))
    }

    /// Adds a key; answers its secret.
    pub(crate) fn key(&self, row: Row<'_>) -> String {
        let secret = random_secret();
        self.sealed_key(row, &self.seal(&secret));
        secret
    }

    /// Adds a key with this in the place of its sealed secret.
    pub(crate) fn sealed_key(&self, row: Row<'_>, sealed: &str) {
        self.execute(&insert(row, sealed));
    }

    /// Adds many keys at once; answers their secrets.
    pub(crate) fn keys(&self, rows: &[Row<'_>]) -> Vec<String> {
        let secrets: Vec<_> = rows.iter().map(|_| random_secret()).collect();
        let statements = rows.iter().zip(&secrets).map(|(row, secret)| insert(*row, &self.seal(secret)));
        self.execute(&statements.collect::<String>());
        secrets
    }

    /// Runs statements as the superuser.
    pub(crate) fn execute(&self, sql: &str) -> String {
        self.database.execute(sql).unwrap()
    }

    /// All that is in it.
    pub(crate) fn everything(&self) -> String {
        self.execute(EVERYTHING)
    }
}

fn insert(row: Row<'_>, sealed: &str) -> String {
    let Row { id, owner: (kind, owner), provider, created, name, created_by } = row;
    let text = |text: Option<&str>| text.map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"));
    let (column, value) = if name.is_some() { (", name", format!(", {}", text(name))) } else { ("", String::new()) };
    format!(
        "INSERT INTO {kind}_byok_keys (id, {kind}_id, provider_id, encrypted_api_key, created_by, created_at{column})
         VALUES ('{id}', '{owner}', '{provider}', '{sealed}', {}, timestamp '2026-01-01' + interval '{created} s'{value});",
        text(created_by)
    )
}
