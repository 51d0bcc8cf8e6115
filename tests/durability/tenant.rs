//! A workspace, what it was told of its keys, and the one request that it has no answer to.

use std::collections::BTreeMap;

use claviger_testkit::{Answer, Client, Running, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::PROVIDER;
use crate::dice::Dice;

/// So many keys are enough for every kind of change to meet every other.
const KEYS: usize = 4;

/// A key as it was acknowledged.
#[derive(Clone, Debug)]
struct Known {
    secret: String,
    name: String,
}

/// A change of keys, as it is asked for.
#[derive(Debug)]
enum Change {
    Add(Known),
    Replace { id: String, secret: String },
    Rename { id: String, name: String },
    Delete { id: String },
    DeleteAll,
}

#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) workspace: String,
    pub(crate) token: String,
    keys: BTreeMap<String, Known>,
    unanswered: Option<Change>,
    dice: Dice,
}

/// What a person sees of a key: mask and name.
type Shown = BTreeMap<String, (String, String)>;

impl Tenant {
    pub(crate) async fn new(server: &Running, number: u64) -> Self {
        let workspace = format!("tenant-{number}");
        server.workspace(&workspace).await;
        let token = server.token(&workspace, "runtime").await;
        Self { workspace, token, keys: BTreeMap::new(), unanswered: None, dice: Dice::new(number) }
    }

    pub(crate) fn secrets(&self) -> Vec<&str> {
        self.keys.values().map(|key| key.secret.as_str()).collect()
    }

    /// Asks for one more change. Returns whether it was acknowledged; where it was not, nobody answers any more.
    pub(crate) async fn change(&mut self, root: &Client) -> bool {
        let change = self.choose();
        let Ok(answer) = change.send(root, &self.workspace).await else {
            self.unanswered = Some(change);
            return false;
        };
        assert_eq!(answer.status, 200, "{}: {}", self.workspace, answer.json);
        change.apply(&mut self.keys, answer.json["key"]["id"].as_str());
        true
    }

    fn choose(&mut self) -> Change {
        let secret = random_secret();
        let name = format!("name {}", &secret[..8]);
        let nth = usize::try_from(self.dice.throw(KEYS as u64)).unwrap() % self.keys.len().max(1);
        let Some(id) = self.keys.keys().nth(nth).cloned() else {
            return Change::Add(Known { secret, name });
        };
        match self.dice.throw(16) {
            0..7 if self.keys.len() < KEYS => Change::Add(Known { secret, name }),
            0..9 => Change::Replace { id, secret },
            9..12 => Change::Rename { id, name },
            12..15 => Change::Delete { id },
            _ => Change::DeleteAll,
        }
    }

    /// Compares what the server has with what was acknowledged. A request without an answer may have been done or not,
    /// but not by half.
    pub(crate) async fn settle(&mut self, server: &Running) {
        let listed: Shown = server.keys(&self.workspace).await.iter().map(shown).collect();
        if let Some(change) = self.unanswered.take()
            && listed != self.shown()
        {
            let new = listed.keys().find(|id| !self.keys.contains_key(*id));
            change.apply(&mut self.keys, new.map(String::as_str));
        }
        assert_eq!(listed, self.shown(), "{}", self.workspace);
    }

    fn shown(&self) -> Shown {
        let keys = self.keys.iter();
        keys.map(|(id, key)| (id.clone(), (masked(&key.secret), key.name.clone()))).collect()
    }
}

impl Change {
    async fn send(&self, root: &Client, workspace: &str) -> Result<Answer, String> {
        let keys = format!("/api/workspaces/{workspace}/byok-keys");
        match self {
            Self::Add(Known { secret, name }) => {
                let body = json!({"providerId": PROVIDER, "apiKey": secret, "name": name});
                root.try_send(Method::POST, &keys, &body).await
            }
            Self::Replace { id, secret } => {
                let body = json!({"providerId": PROVIDER, "apiKey": secret, "keyId": id});
                root.try_send(Method::POST, &keys, &body).await
            }
            Self::Rename { id, name } => {
                root.try_send(Method::PATCH, &format!("{keys}/{id}"), &json!({"name": name})).await
            }
            Self::Delete { id } => {
                root.try_send(Method::DELETE, &keys, &json!({"providerId": PROVIDER, "keyId": id})).await
            }
            Self::DeleteAll => root.try_send(Method::DELETE, &keys, &json!({"providerId": PROVIDER})).await,
        }
    }

    /// What becomes of the keys; `added` is the id that an added key got. An add without an id has added nothing.
    fn apply(self, keys: &mut BTreeMap<String, Known>, added: Option<&str>) {
        match self {
            Self::Add(key) => keys.extend(added.map(|id| (id.to_owned(), key))),
            Self::Replace { id, secret } => keys.get_mut(&id).unwrap().secret = secret,
            Self::Rename { id, name } => keys.get_mut(&id).unwrap().name = name,
            Self::Delete { id } => drop(keys.remove(&id).unwrap()),
            Self::DeleteAll => keys.clear(),
        }
    }
}

fn shown(key: &Value) -> (String, (String, String)) {
    let text = |field: &str| key[field].as_str().unwrap().to_owned();
    (text("id"), (text("maskedKey"), text("name")))
}

pub(crate) fn masked(secret: &str) -> String {
    format!("{}...{}", &secret[..6], &secret[secret.len() - 4..])
}
