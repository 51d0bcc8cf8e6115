//! What the console says, where code chooses the words.

use claviger_core::actor::InvalidActor;
use claviger_core::portal::PortalRole;

use crate::text::Saying;

pub(crate) const TOO_MANY_ATTEMPTS: Saying = Saying {
    title: "Please wait a moment",
    words: "Too many attempts to get in came from your network. Try again in a minute.",
};
pub(crate) const WRONG_TOKEN: &str = "This is not the root token.";
pub(crate) const EXPIRED: &str = "Your session has expired, and nothing was changed. Sessions last an hour.";
pub(crate) const ENDED: &str = "You are not signed in, and nothing was changed.";
pub(crate) const SIGNED_OUT: &str = "You are signed out.";

pub(crate) const FORBIDDEN: Saying =
    Saying { title: "You may not do this", words: "The session has not the right that this takes." };
pub(crate) const NO_WORKSPACE: Saying = Saying {
    title: "There is no such workspace",
    words: "It was deleted, or its id is mistyped. Ids are case-sensitive: look for it in the list.",
};
pub(crate) const NO_ORGANIZATION: Saying = Saying {
    title: "There is no such organization",
    words: "It was deleted, or its id is mistyped. Ids are case-sensitive: look for it in the list.",
};
pub(crate) const NO_OWNER: Saying =
    Saying { title: "The owner of these keys is gone", words: "It was deleted, and its keys with it." };
pub(crate) const NO_KEY: Saying =
    Saying { title: "There is no such key", words: "It was deleted, or belongs to another owner." };
pub(crate) const NO_TOKEN: Saying = Saying { title: "There is no such token", words: "It was deleted already." };
pub(crate) const NO_SESSION: Saying =
    Saying { title: "There is no such session", words: "It was ended already, or has expired." };
pub(crate) const GIVEN_KEY: Saying = Saying {
    title: "This key is given by a setting",
    words: "It can be changed only there: the setting's name is the key's label.",
};
pub(crate) const UNREADABLE_KEY: Saying =
    Saying { title: "This key cannot be opened", words: "It was sealed elsewhere, or is damaged: enter it again." };

pub(crate) const NO_NAME: &str = "Enter a name.";
pub(crate) const BAD_ID: &str = "An id has 1 to 128 characters of A–Z, a–z, 0–9 and . _ : -";
pub(crate) const TAKEN: &str = "There is one with this id already.";
pub(crate) const UNKNOWN_ORGANIZATION: &str = "There is no organization with this id.";
pub(crate) const UNKNOWN_WORKSPACE: &str = "There is no workspace with this id.";
pub(crate) const NOT_CONFIRMED: &str = "This is not the id. Nothing was deleted.";
pub(crate) const NO_PROVIDER: &str = "Choose a provider.";
pub(crate) fn actor(error: InvalidActor) -> &'static str {
    match error {
        InvalidActor::Form => "At most 256 characters, without line breaks.",
        InvalidActor::Reserved => "Claviger itself names somebody so.",
    }
}
pub(crate) const BAD_ROLE: &str = "Choose a role.";
pub(crate) const NO_WORKSPACE_NAMED: &str = "A token of this role belongs to one workspace: enter its id.";
pub(crate) const WORKSPACE_OF_SERVICE: &str = "A service token is for every workspace: leave this empty.";
pub(crate) const REVEAL_FOR_ROLE: &str = "Only service and runtime tokens can see keys in plain text.";
pub(crate) const BAD_DATE: &str = "Enter a day as in 2030-01-31.";
pub(crate) const PAST_DATE: &str = "This day is over.";

/// What was done, by the word that stands in the address after the redirect.
pub(crate) fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "workspace-made" => "The workspace was made.",
        "workspace-changed" => "The workspace was changed.",
        "workspace-deleted" => "The workspace was deleted, with its keys, tokens and sessions.",
        "organization-made" => "The organization was made.",
        "organization-changed" => "The organization was changed.",
        "organization-deleted" => "The organization was deleted. Its workspaces belong to none now.",
        "lends" => "The organization lends its keys to its workspaces.",
        "lends-not" => "The organization lends no keys any more.",
        "session-ended" => "The session was ended.",
        "token-deleted" => "The token was deleted, and does not work any more.",
        "tested-valid" => "The provider accepts the key.",
        "tested-invalid" => "The provider refuses the key.",
        "tested-no-credit" => "The provider knows the key, but its account has no credit.",
        "tested-unreachable" => "The provider could not be reached, or gave no answer to the point.",
        "tested-not-testable" => "Nothing that costs nothing can tell whether the provider accepts this key.",
        // What is done to keys is said in the portal's words.
        other => return crate::text::done(other),
    })
}

pub(crate) fn delete_title(what: &str, id: &str) -> String {
    format!("Delete {what} “{id}”?")
}

pub(crate) fn span(seconds: u64) -> String {
    crate::text::span(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000))
}

pub(crate) const DELETES_WORKSPACE: &str = "Its keys, tokens, webhooks and portal sessions go with it, and its data key is destroyed: what was sealed stays sealed in every backup. This cannot be taken back.";
pub(crate) const DELETES_ORGANIZATION: &str = "Its keys go with it, and its data key is destroyed: what was sealed stays sealed in every backup. Its workspaces stay, and belong to none. This cannot be taken back.";

pub(crate) fn link_hint(role: PortalRole, until: &str) -> String {
    let may = match role {
        PortalRole::Admin => "manage the workspace’s keys",
        PortalRole::Member => "look at the workspace’s keys",
    };
    format!(
        "It works once, until {until} UTC, and lets whoever opens it {may} for an hour. It is shown on this page only: copy it now."
    )
}

pub(crate) fn token_hint(name: &str, id: &str) -> String {
    format!("This is the token “{name}” ({id}). It is shown on this page only, and stored as a hash: copy it now.")
}
