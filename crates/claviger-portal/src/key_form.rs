//! The forms for a key, in the portal and in the console: what was typed, what it asks for, and why nothing came of it.

use std::error::Error;

use claviger_app::access::{ManageKeys, Permit};
use claviger_app::keyring::{TestKeyError, TestResult, Tested};
use claviger_app::keys::{ChangeKeyError, Keys, ListKeysError, ListedKey, PutDone, PutKey, PutKeyError};
use claviger_core::{KeyId, KeyName, KeySecret, ProviderId};

use crate::fields::Fields;
use crate::{text, words};

/// What a form says of itself: what was typed, but for the key, and what is wrong with it.
#[derive(Default)]
pub(crate) struct Typed {
    pub(crate) name: String,
    pub(crate) verify: bool,
    pub(crate) secret_error: String,
    pub(crate) name_error: String,
    /// What is wrong with none of the fields.
    pub(crate) error: String,
}

impl Typed {
    /// The form as it begins for a key that is there.
    pub(crate) fn of(key: &ListedKey) -> Self {
        let name = key.record.name.as_ref().map(|name| name.as_str().to_owned());
        Self { name: name.unwrap_or_default(), ..Self::default() }
    }

    pub(crate) fn is_wrong(&self) -> bool {
        [&self.secret_error, &self.name_error, &self.error].iter().any(|error| !error.is_empty())
    }
}

/// A key that is typed in, read as far as it can be.
pub(crate) struct KeyForm {
    /// The key, with its label where it has one; nothing where anything is wrong.
    read: Option<(KeySecret, Option<KeyName>)>,
    pub(crate) typed: Typed,
}

/// What came of a form.
pub(crate) enum Put {
    /// The key is stored; the address says so by this word after the redirect.
    Done(String),
    /// The form says why not.
    Refused(Typed),
}

impl KeyForm {
    pub(crate) fn read(fields: &Fields) -> Self {
        let (secret, name) = (KeySecret::parse(fields.get("secret")), KeyName::parse(fields.get("name")));
        let secret_error = secret.as_ref().err().map_or("", |invalid| text::invalid_secret(*invalid));
        let name_error = name.as_ref().err().map_or("", |invalid| text::invalid_name(*invalid));
        let typed = Typed {
            name: fields.get("name").to_string(),
            verify: !fields.get("verify").is_empty(),
            secret_error: secret_error.to_owned(),
            name_error: name_error.to_owned(),
            error: String::new(),
        };
        Self { read: secret.ok().zip(name.ok()), typed }
    }

    /// Adds the key to a provider's, or puts it in the place of one of them.
    pub(crate) async fn put(
        self,
        keys: &Keys,
        permit: &Permit<ManageKeys>,
        (provider, provider_name): (&ProviderId, &str),
        pool: &[ListedKey],
        old: Option<&KeyId>,
    ) -> Result<Put, KeyTrouble> {
        let Self { read, typed } = self;
        let Some((secret, name)) = read else {
            return Ok(Put::Refused(typed));
        };
        let put = PutKey { provider: provider.clone(), secret, name: Some(name), verify: typed.verify };
        let (what, done) = match old {
            None => ("added", keys.add(permit, put).await),
            Some(id) => ("replaced", keys.replace(permit, id, put).await),
        };
        let typed = match done {
            Ok(done) => return Ok(Put::Done(word(&done, what))),
            Err(PutKeyError::LimitReached) => Typed { error: text::ENGLISH.limit_reached.to_owned(), ..typed },
            Err(PutKeyError::Duplicate(twin)) => {
                let twin = pool.iter().find(|key| key.record.id == twin).map_or(text::ENGLISH.unnamed, words::label);
                Typed { secret_error: text::duplicate(twin), ..typed }
            }
            Err(PutKeyError::Rejected(_)) => Typed { secret_error: text::refused_by(provider_name), ..typed },
            Err(PutKeyError::NoOwner(_)) => return Err(KeyTrouble::NoOwner),
            Err(PutKeyError::NoKey) => return Err(KeyTrouble::NoKey),
            Err(PutKeyError::Given(_)) => return Err(KeyTrouble::Given),
            Err(PutKeyError::Unreadable(error)) => return Err(KeyTrouble::Failed(Box::new(error))),
            Err(PutKeyError::Seal(error)) => return Err(KeyTrouble::Failed(Box::new(error))),
            Err(PutKeyError::Store(error)) => return Err(KeyTrouble::Failed(Box::new(error))),
        };
        Ok(Put::Refused(typed))
    }
}

fn word(done: &PutDone, what: &str) -> String {
    let tested = done.tested.as_ref().map(|tested| match tested.result {
        TestResult::Valid => "-valid",
        TestResult::NoCredit => "-no-credit",
        TestResult::Invalid | TestResult::Unreachable | TestResult::NotTestable => "-untested",
    });
    format!("{what}{}", tested.unwrap_or_default())
}

/// The label in a form that asks for no more, or the form as it comes back.
pub(crate) fn name(fields: &Fields) -> Result<Option<KeyName>, Typed> {
    let typed = |invalid| Typed {
        name: fields.get("name").to_string(),
        name_error: text::invalid_name(invalid).to_owned(),
        ..Typed::default()
    };
    KeyName::parse(fields.get("name")).map_err(typed)
}

/// Whether a form switches a key on, and the word for what was done. The form says what to switch to, so that two pages
/// that are open at once do not switch back and forth.
pub(crate) fn switch(fields: &Fields) -> Option<(bool, &'static str)> {
    match fields.get("to").as_str() {
        "on" => Some((true, "switched-on")),
        "off" => Some((false, "switched-off")),
        _ => None,
    }
}

/// Why nothing was done about keys, as far as no form has a word for it.
pub(crate) enum KeyTrouble {
    NoOwner,
    NoKey,
    /// A setting gives the key.
    Given,
    /// For the log to say why.
    Failed(Box<dyn Error + Send + Sync>),
}

impl From<ListKeysError> for KeyTrouble {
    fn from(error: ListKeysError) -> Self {
        match error {
            ListKeysError::NoOwner(_) => Self::NoOwner,
            ListKeysError::Store(error) => Self::Failed(Box::new(error)),
        }
    }
}

impl From<ChangeKeyError> for KeyTrouble {
    fn from(error: ChangeKeyError) -> Self {
        match error {
            ChangeKeyError::NoOwner(_) => Self::NoOwner,
            ChangeKeyError::NoKey => Self::NoKey,
            ChangeKeyError::Given(_) => Self::Given,
            ChangeKeyError::Store(error) => Self::Failed(Box::new(error)),
        }
    }
}

/// What a provider said of a key; nothing where the key cannot be read.
pub(crate) fn tested(tested: Result<Tested, TestKeyError>) -> Result<Option<TestResult>, KeyTrouble> {
    match tested {
        Ok(tested) => Ok(Some(tested.result)),
        Err(TestKeyError::Unreadable) => Ok(None),
        Err(TestKeyError::NoOwner(_)) => Err(KeyTrouble::NoOwner),
        Err(TestKeyError::NoKey) => Err(KeyTrouble::NoKey),
        Err(TestKeyError::Store(error)) => Err(KeyTrouble::Failed(Box::new(error))),
    }
}
