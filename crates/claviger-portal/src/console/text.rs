//! Every word of the console, in one place, in English alone. What is said of keys, and of forms for them, is the
//! portal's.

use claviger_core::actor::InvalidActor;
use claviger_core::portal::PortalRole;

use crate::text::{ENGLISH, Saying};

// What stands around all pages.
pub(crate) const CONSOLE: &str = "Claviger console";
pub(crate) const PRODUCT: &str = "Claviger";
pub(crate) const PART: &str = "Console";
pub(crate) const SKIP: &str = ENGLISH.skip;
pub(crate) const SIGN_OUT: &str = "Sign out";

// The parts of the console.
pub(crate) const OVERVIEW: &str = "Overview";
pub(crate) const WORKSPACES: &str = "Workspaces";
pub(crate) const ORGANIZATIONS: &str = "Organizations";
pub(crate) const PLATFORM_KEYS: &str = "Platform keys";
pub(crate) const TOKENS: &str = "Tokens";
pub(crate) const HEALTH: &str = "Health";
pub(crate) const SESSIONS: &str = "Sessions";

// What stands on several pages.
pub(crate) const ID: &str = "Id";
pub(crate) const ID_HELP: &str = "The product’s own: A–Z, a–z, 0–9 and . _ : - It never changes.";
pub(crate) const NAME: &str = "Name";
pub(crate) const WORKSPACE: &str = "Workspace";
pub(crate) const ORGANIZATION: &str = "Organization";
pub(crate) const PROVIDER: &str = "Provider";
pub(crate) const TOKEN: &str = "Token";
pub(crate) const ROLE: &str = "Role";
pub(crate) const KEYS: &str = "Keys";
pub(crate) const MADE: &str = "Made (UTC)";
pub(crate) const BEGAN: &str = "Began (UTC)";
pub(crate) const ENDS: &str = "Ends (UTC)";
pub(crate) const ACTIONS: &str = "Actions";
pub(crate) const NONE: &str = "There are none.";
pub(crate) const FIRST_PAGE: &str = "First page";
pub(crate) const NEXT_PAGE: &str = "Next page";
pub(crate) const CHECK: &str = "Please check what you entered.";
pub(crate) const ADD_KEY: &str = "Add key";
pub(crate) const SAVE: &str = ENGLISH.save;
pub(crate) const CANCEL: &str = ENGLISH.cancel;
pub(crate) const RENAME: &str = ENGLISH.rename;
pub(crate) const DELETE: &str = ENGLISH.delete;
pub(crate) const END: &str = ENGLISH.end_session;
pub(crate) const DONE: &str = "Done";

pub(crate) fn made(at: &str) -> String {
    format!("made {at} UTC")
}

/// What the button that ends a session says to who cannot see its row.
pub(crate) fn session(id: &str) -> String {
    format!("session {id}")
}

// The way in.
pub(crate) const SIGN_IN: &str = "Sign in";
pub(crate) const ROOT_TOKEN: &str = "Root token";
pub(crate) const ROOT_TOKEN_HELP: &str =
    "The setting auth.root_token, or what the first start printed. You stay signed in for an hour.";

// Sessions of the console.
pub(crate) const CONSOLE_SESSIONS: &str = "Console sessions";
pub(crate) const SESSIONS_LEAD: &str = "Everybody who signed in with the root token within the last hour. A session that is ended has ended on every node.";
pub(crate) const SESSION: &str = "Session";
pub(crate) const THIS_ONE: &str = "This one";

// The overview, and how everything is.
pub(crate) const COUNTS: &str = "What there is";
pub(crate) const NO_COUNTS: &str = "Nothing can be counted while the database does not answer.";
pub(crate) const PROVIDER_KEYS: &str = "Provider keys";
pub(crate) const WEBHOOKS: &str = "Webhooks";
pub(crate) const CHECKS: &str = "How it is";
pub(crate) const MORE_HEALTH: &str = "More on this node’s health";
pub(crate) const HEALTH_LEAD: &str = "Of the node that answered. Where there are several, each tells of itself.";
pub(crate) const THIS_NODE: &str = "This node";
pub(crate) const READY: &str = "Ready";
pub(crate) const NOT_READY: &str = "Not ready";
pub(crate) const DATABASE: &str = "Database";
pub(crate) const CHANGES: &str = "Changes by other processes";
pub(crate) const HEARD_OF: &str = "Heard of";
pub(crate) const NOT_LISTENED_TO: &str = "Not listened to";
pub(crate) const NOT_HEARD_OF: &str = "Not heard of";
pub(crate) const VALKEY: &str = "Valkey";
pub(crate) const NOT_SET_UP: &str = "Not set up";
pub(crate) const ALONE: &str = "Each node rotates by itself.";
pub(crate) const TURNS_SHARED: &str = "Turns are shared";
pub(crate) const NOT_REACHED: &str = "Not reached";
pub(crate) const VERSION: &str = "Version";
pub(crate) const UPTIME: &str = "Running for";
pub(crate) const PUBLIC_ADDRESS: &str = "Public address";
pub(crate) const POOLS: &str = "Key pools in memory";
pub(crate) const MEMORY: &str = "Memory of key pools, about";
pub(crate) const ATTEMPTS: &str = "Requests with keys since the start";
pub(crate) const NO_ATTEMPTS: &str = "None yet.";
pub(crate) const ATTEMPTS_COUNT: &str = "Attempts";
pub(crate) const ATTEMPTS_END: &str = "How they ended";

pub(crate) fn answers(millis: u128) -> String {
    format!("Answers, in {millis} ms")
}

pub(crate) fn proven(ago: &str) -> String {
    format!("Proven {ago} ago.")
}

/// What follows where changes are not heard of, with when one was heard of last.
pub(crate) fn deaf(ago: Option<&str>) -> String {
    let last = ago.map_or_else(String::new, |ago| format!("Heard of last {ago} ago."));
    format!("Every request asks the database. {last}")
}

pub(crate) fn turns([shared, missed, lost]: [String; 3]) -> String {
    format!("Turns shared {shared}, missed {missed}; words on rests lost {lost}.")
}

pub(crate) fn kibibytes(count: &str) -> String {
    format!("{count} KiB")
}

pub(crate) fn more_than(count: &str) -> String {
    format!("more than {count}")
}

// Master keys.
pub(crate) const MASTER_KEY: &str = "Master key";
pub(crate) const MASTER_KEYS: &str = "Master keys";
pub(crate) const MASTER_KEYS_LEAD: &str = "Each owner that has keys has a data key, and every data key is sealed under a master key: new ones under the one in use. Which master keys are given is told of the node that answered.";
pub(crate) const DATA_KEYS: &str = "Data keys";
pub(crate) const STANDING: &str = "How it stands";
pub(crate) const IN_USE: &str = "In use";
pub(crate) const STILL_NEEDED: &str = "Still needed";
pub(crate) const CAN_BE_WITHDRAWN: &str = "Can be withdrawn";
pub(crate) const COMES_INTO_USE: &str = "Comes into use by a rotation";
pub(crate) const GIVEN: &str = "Given";
pub(crate) const NOT_GIVEN: &str = "Not given";
pub(crate) const NOTHING_LEFT: &str = "Every data key is sealed under the master key in use.";
pub(crate) const PROVEN: &str = "Proven";
pub(crate) const PROOF: &str = "By what it sealed in this database, when the node started.";
pub(crate) const NEEDED_NOT_GIVEN: &str = "One that is needed is not given to this node";
pub(crate) const DAMAGED: &str = "Data keys are damaged";
pub(crate) const BEING_CHANGED: &str = "Being changed";
pub(crate) const NOT_KNOWN: &str = "Not known";

pub(crate) fn left(count: &str) -> String {
    format!(
        "Data keys that are still sealed under older master keys: {count}. The command claviger master-key rotate seals them anew."
    )
}

pub(crate) fn damaged(count: &str) -> String {
    format!("Data keys that are damaged: {count}. They name a master key that was never in use.")
}

// Workspaces.
pub(crate) const FIND_WORKSPACE: &str = "Find a workspace";
pub(crate) const FIND: &str = "Find";
pub(crate) const FIND_HELP: &str = "By how its id begins, or else its name.";
pub(crate) const FIND_BY_NAME: &str = "Find by name";
pub(crate) const FIND_BY_ID: &str = "Find by id";
pub(crate) const IDS: &str = "ids";
pub(crate) const NAMES: &str = "names";
pub(crate) const ALL_BY_ID: &str = "All workspaces, by id";
pub(crate) const NONE_FURTHER: &str = "There are none further on.";
pub(crate) const SHOW_ALL: &str = "Show all";
pub(crate) const MAKE_WORKSPACE: &str = "Make a workspace";
pub(crate) const MAKE_WORKSPACE_BUTTON: &str = "Make workspace";
pub(crate) const ORGANIZATION_HELP: &str = "The id of the organization whose keys it inherits; empty for none.";
pub(crate) const ALL_WORKSPACES: &str = "All workspaces";
pub(crate) const OF_ORGANIZATION: &str = ", of the organization";
pub(crate) const RENAME_OR_MOVE: &str = "Rename or move";
pub(crate) const DELETE_WORKSPACE: &str = "Delete this workspace";
pub(crate) const A_WORKSPACE: &str = "workspace";

pub(crate) fn found(found_in: &str, search: &str) -> String {
    format!("Workspaces whose {found_in} begin with “{search}”")
}

// A workspace's portal.
pub(crate) const IN_PORTAL: &str = "In its portal";
pub(crate) const NOBODY: &str = "Nobody is there now.";
pub(crate) const WHO: &str = "Who";
pub(crate) const MORE_SESSIONS: &str = "There are more than these.";
pub(crate) const MAKE_LINK: &str = "Make a link to its portal";
pub(crate) const MAKE_LINK_BUTTON: &str = "Make link";
pub(crate) const LINK_ADMIN: &str = "Admin";
pub(crate) const LINK_MEMBER: &str = "Member, looks only";
pub(crate) const LINK_KEYS: &str = "Keys a provider";
pub(crate) const LINK_SEVERAL: &str = "Several";
pub(crate) const LINK_ONE: &str = "One";
pub(crate) const LINK_WITHIN: &str = "Opens within";
pub(crate) const LINK_MINUTES: &str = "10 minutes";
pub(crate) const LINK_HOUR: &str = "An hour";
pub(crate) const LINK_DAY: &str = "A day";
pub(crate) const LINK_ACTOR: &str = "Who opens it";
pub(crate) const LINK_ACTOR_HELP: &str = "Optional: a user’s id, for who added a key.";
pub(crate) const NEW_LINK: &str = "A link to the portal";
pub(crate) const LINK: &str = "Link";

// Organizations.
pub(crate) const ORGANIZATIONS_LEAD: &str =
    "Their workspaces inherit the keys of an organization for each provider for which they have none themselves.";
pub(crate) const ALL_ORGANIZATIONS_BY_ID: &str = "All organizations, by id";
pub(crate) const LENT: &str = "Lent";
pub(crate) const NOT_LENT: &str = "Not lent";
pub(crate) const MAKE_ORGANIZATION: &str = "Make an organization";
pub(crate) const MAKE_ORGANIZATION_BUTTON: &str = "Make organization";
pub(crate) const ALL_ORGANIZATIONS: &str = "All organizations";
pub(crate) const LENDING: &str = "Lending";
pub(crate) const LENDS: &str = "Its workspaces use its keys for providers for which they have none.";
pub(crate) const LENDS_NOT: &str = "It lends no keys. They stay, and can be changed.";
pub(crate) const STOP_LENDING: &str = "Stop lending";
pub(crate) const LEND: &str = "Lend its keys";
pub(crate) const ITS_WORKSPACES: &str = "Its workspaces";
pub(crate) const NO_WORKSPACES: &str = "No workspace belongs to it.";
pub(crate) const DELETE_ORGANIZATION: &str = "Delete this organization";
pub(crate) const AN_ORGANIZATION: &str = "organization";

// Keys.
pub(crate) const PLATFORM_LEAD: &str = "The operator’s own keys. Where platform.fallback is on, they serve workspaces that have no key for a provider, and inherit none.";
pub(crate) const ADD_A_KEY: &str = "Add a key";
pub(crate) const NO_KEYS: &str = ENGLISH.no_keys;
pub(crate) const FULL: &str = "Full";
pub(crate) const TEST: &str = ENGLISH.test;
pub(crate) const REPLACE: &str = ENGLISH.replace;
pub(crate) const SWITCH_ON: &str = ENGLISH.switch_on;
pub(crate) const SWITCH_OFF: &str = ENGLISH.switch_off;
pub(crate) const CHANGED_BY_SETTING: &str = "Given by a setting: change it there.";
pub(crate) const CHOOSE: &str = "Choose one";
pub(crate) const SECRET: &str = ENGLISH.secret;
pub(crate) const SECRET_HELP: &str = ENGLISH.secret_hidden;
pub(crate) const VERIFY: &str = "Test the key with the provider before it is saved, where that costs nothing";
pub(crate) const REPLACE_LEAD: &str = ENGLISH.replace_lead;
pub(crate) const DELETES_KEY: &str =
    "Requests go on with the other keys of its pool. If it is the last one, they may fail.";

pub(crate) fn added(at: &str, by: &str) -> String {
    if by.is_empty() { format!("Added {at} UTC") } else { format!("Added {at} UTC by {by}") }
}

/// Where a new key goes; the platform is nobody's.
pub(crate) fn add_lead(owner: &str) -> String {
    let owner = if owner == "platform" { "the platform" } else { owner };
    format!("To {owner}. It takes its turn after the other keys of its provider.")
}

/// What is wrong with none of the fields; nothing where each says it itself.
pub(crate) fn check(error: &str) -> String {
    if error.is_empty() { CHECK.to_owned() } else { format!("{}: {error}", ENGLISH.error_title) }
}

// Tokens.
pub(crate) const OF_WORKSPACE: &str = "Of one workspace";
pub(crate) const OF_WORKSPACE_HELP: &str = "The workspace’s id; empty for all tokens.";
pub(crate) const SHOW: &str = ENGLISH.show;
pub(crate) const ALL_TOKENS: &str = "All tokens";
pub(crate) const EVERY_WORKSPACE: &str = "Every workspace";
pub(crate) const REVEALS: &str = "Reveal";
pub(crate) const NEVER: &str = "Never";
pub(crate) const NO_TOKENS: &str = "There are no tokens yet.";
pub(crate) const ALL_ITS_TOKENS: &str = "All of its tokens";
pub(crate) const MAKE_TOKEN: &str = "Make a token";
pub(crate) const MAKE_TOKEN_BUTTON: &str = "Make token";
/// The roles, with what each is for.
pub(crate) const ROLES: [(&str, &str); 4] = [
    ("runtime", "Runtime: sends requests for one workspace"),
    ("admin", "Admin: manages one workspace"),
    ("member", "Member: looks at one workspace"),
    ("service", "Service: the product’s backend, every workspace"),
];
pub(crate) const TOKEN_WORKSPACE_HELP: &str = "The workspace’s id; empty for a service token.";
pub(crate) const REVEAL: &str = "May see keys in plain text";
pub(crate) const REVEAL_HELP: &str = "For service and runtime tokens only.";
pub(crate) const LAST_DAY: &str = "Last day";
pub(crate) const LAST_DAY_HELP: &str = "It stops working at the end of this day, in UTC; empty for never.";
pub(crate) const NEW_TOKEN: &str = "A new token";
pub(crate) const A_TOKEN: &str = "token";
pub(crate) const DELETES_TOKEN: &str = "Whatever uses it is refused from the next request on, on every node.";

pub(crate) fn tokens_of(workspace: &str) -> String {
    format!("Tokens of {workspace}")
}

pub(crate) fn of(workspace: &str) -> String {
    format!("of {workspace}")
}

// Deleting what has an id, which is typed between these two.
pub(crate) const CONFIRM: &str = "Type";
pub(crate) const TO_CONFIRM: &str = "to confirm";

// Pages that say one thing.
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

// What is wrong with what was typed.
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
