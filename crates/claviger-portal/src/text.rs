//! Every word of the pages, in one place. A translation is another [`Text`], and the functions beside it.

use claviger_core::key::{InvalidName, InvalidSecret};

/// The words that stand on pages as they are.
pub(crate) struct Text {
    pub(crate) language: &'static str,
    pub(crate) skip: &'static str,
    pub(crate) back: &'static str,
    pub(crate) leave: &'static str,
    pub(crate) keys_title: &'static str,
    pub(crate) keys_lead: &'static str,
    pub(crate) keys_lead_single: &'static str,
    pub(crate) looks_only: &'static str,
    pub(crate) search: &'static str,
    pub(crate) search_button: &'static str,
    pub(crate) clear_search: &'static str,
    pub(crate) inherited: &'static str,
    pub(crate) all_providers: &'static str,
    pub(crate) rotation: &'static str,
    pub(crate) rotation_lead: &'static str,
    pub(crate) no_keys: &'static str,
    pub(crate) add_title: &'static str,
    pub(crate) add: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) secret_hidden: &'static str,
    pub(crate) name: &'static str,
    pub(crate) name_help: &'static str,
    pub(crate) verify: &'static str,
    pub(crate) replace: &'static str,
    pub(crate) replace_lead: &'static str,
    pub(crate) rename: &'static str,
    pub(crate) delete: &'static str,
    pub(crate) update: &'static str,
    pub(crate) manage: &'static str,
    pub(crate) view: &'static str,
    pub(crate) save: &'static str,
    pub(crate) cancel: &'static str,
    pub(crate) switch_on: &'static str,
    pub(crate) switch_off: &'static str,
    pub(crate) unnamed: &'static str,
    pub(crate) limit_reached: &'static str,
    pub(crate) single_taken: &'static str,
    pub(crate) open_title: &'static str,
    pub(crate) open_lead: &'static str,
    pub(crate) open: &'static str,
    pub(crate) never_used: &'static str,
    pub(crate) error_title: &'static str,
    pub(crate) keys: &'static str,
    pub(crate) parts: &'static str,
    pub(crate) close: &'static str,
    pub(crate) loading: &'static str,
    pub(crate) offline: &'static str,
    pub(crate) show: &'static str,
    pub(crate) hide: &'static str,
    pub(crate) test: &'static str,
    pub(crate) testing: &'static str,
    pub(crate) saving: &'static str,
    pub(crate) label_kept: &'static str,
    pub(crate) activity: &'static str,
    pub(crate) sessions: &'static str,
    pub(crate) sessions_lead: &'static str,
    pub(crate) this_session: &'static str,
    pub(crate) end_session: &'static str,
    pub(crate) more: &'static str,
    pub(crate) nobody: &'static str,
}

pub(crate) const ENGLISH: Text = Text {
    language: "en",
    skip: "Skip to the content",
    back: "Back",
    leave: "Sign out",
    keys_title: "API keys",
    keys_lead: "Requests to a provider take turns with the keys that you add here.",
    keys_lead_single: "Requests to a provider use the key that you add here.",
    looks_only: "You can look at these keys. Ask an admin of the workspace to change them.",
    search: "Search providers",
    search_button: "Search",
    clear_search: "Clear the search",
    inherited: "Inherited from organization",
    all_providers: "All providers",
    rotation: "Keys",
    rotation_lead: "In the order in which they take their turns.",
    no_keys: "There are no keys yet.",
    add_title: "Add a key",
    add: "Add key",
    secret: "API key",
    secret_hidden: "It is stored encrypted, and never shown again.",
    name: "Label",
    name_help: "Optional. It helps to tell keys apart.",
    verify: "Test the key with the provider before it is saved",
    replace: "Replace",
    replace_lead: "The new key takes the place of the old one in the rotation, from the next request on.",
    rename: "Rename",
    delete: "Delete",
    update: "Update",
    manage: "Manage",
    view: "View",
    save: "Save",
    cancel: "Cancel",
    switch_on: "Switch on",
    switch_off: "Switch off",
    unnamed: "Unnamed key",
    limit_reached: "Key limit reached (10 keys per provider)",
    single_taken: "There is a key already. Update or delete it.",
    open_title: "Manage API keys",
    open_lead: "This link opens once, in this browser, and lasts an hour from then on.",
    open: "Continue",
    never_used: "Never used",
    error_title: "Please check what you entered",
    keys: "Keys",
    parts: "Parts of this page",
    close: "Close",
    loading: "Loading …",
    offline: "This could not be sent. Check your connection, and try again.",
    show: "Show",
    hide: "Hide",
    test: "Test",
    testing: "Testing …",
    saving: "Saving …",
    label_kept: "The label that you typed:",
    activity: "Activity",
    sessions: "Sessions",
    sessions_lead: "Who has this workspace’s keys open now. Each session ends by itself after an hour.",
    this_session: "This session",
    end_session: "End",
    more: "More",
    nobody: "Somebody without a name",
};

/// A page that says one thing.
pub(crate) struct Saying {
    pub(crate) title: &'static str,
    pub(crate) words: &'static str,
}

pub(crate) const LINK_UNKNOWN: Saying = Saying {
    title: "This link does not work",
    words: "It was used already, or is not complete. Go back to where you got it, and ask for a new one.",
};
pub(crate) const LINK_EXPIRED: Saying = Saying {
    title: "This link has expired",
    words: "Links work for a short time only. Go back to where you got it, and ask for a new one.",
};
pub(crate) const NO_SESSION: Saying = Saying {
    title: "You are not signed in",
    words: "Open this page again from the product that you came from: it gives you a new link.",
};
pub(crate) const SESSION_ENDED: Saying = Saying {
    title: "Your session is over",
    words: "Nothing was changed. It was ended, or is of an earlier link: open this page again from the product that you came from.",
};
pub(crate) const SESSION_EXPIRED: Saying = Saying {
    title: "Your session has expired",
    words: "Nothing was changed. Sessions last an hour: open this page again from the product that you came from.",
};
pub(crate) const LEFT: Saying =
    Saying { title: "You are signed out", words: "To come back, open this page from the product that you came from." };
pub(crate) const FORBIDDEN: Saying = Saying {
    title: "You cannot change keys here",
    words: "You can look at them. Ask an admin of the workspace to change them.",
};
pub(crate) const FOREIGN_FORM: Saying = Saying {
    title: "This form could not be accepted",
    words: "Nothing was changed. It did not come from this page, or the page is of an earlier session: go back, reload it, and try again.",
};
pub(crate) const BAD_FORM: Saying =
    Saying { title: "This form could not be read", words: "Nothing was changed. Go back, and try again." };
pub(crate) const SESSIONS_FORBIDDEN: Saying =
    Saying { title: "You cannot see sessions here", words: "Ask an admin of the workspace." };
pub(crate) const SESSION_GONE: Saying =
    Saying { title: "This session is not there any more", words: "It has ended already." };
pub(crate) const GONE: Saying = Saying {
    title: "This key is not here any more",
    words: "It was deleted, perhaps in another window. Nothing else was changed.",
};
pub(crate) const NOTHING_HERE: Saying =
    Saying { title: "There is nothing here", words: "The address may be mistyped." };
pub(crate) const TOO_MANY_ATTEMPTS: Saying = Saying {
    title: "Please wait a moment",
    words: "Too many links and sessions that are none came from your network. Try again in a minute.",
};
pub(crate) const UNAVAILABLE: Saying = Saying {
    title: "This does not work at the moment",
    words: "It is not your fault, and it passes as a rule. Try again in a moment.",
};

/// What was done, by the word that stands in the address after the redirect.
pub(crate) fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "added" => "The key was added.",
        "added-valid" => "The key was added. The provider accepts it.",
        "added-no-credit" => "The key was added. The provider knows it, but its account has no credit.",
        "added-untested" => "The key was added. It could not be tested.",
        "replaced" => "The key was replaced.",
        "replaced-valid" => "The key was replaced. The provider accepts the new one.",
        "replaced-no-credit" => "The key was replaced. The provider knows the new one, but its account has no credit.",
        "replaced-untested" => "The key was replaced. The new one could not be tested.",
        "renamed" => "The key was renamed.",
        "deleted" => "The key was deleted.",
        "switched-on" => "The key takes part in the rotation again.",
        "tested-valid" => "The provider accepts this key.",
        "tested-invalid" => "The provider refuses this key. Replace it.",
        "tested-no-credit" => "The provider knows this key, but its account has no credit.",
        "tested-unreachable" => "The provider could not be reached, so nothing is known of this key.",
        "tested-nothing" => "The provider’s answer says nothing about this key.",
        "tested-unreadable" => "This key cannot be read. Replace it.",
        "ended" => "The session was ended.",
        "switched-off" => "The key is switched off, and takes no part in the rotation.",
        _ => return None,
    })
}

pub(crate) fn section(section: claviger_core::catalogue::Section) -> &'static str {
    use claviger_core::catalogue::Section;
    match section {
        Section::Models => "Models",
        Section::Search => "Search & web",
        Section::Enrichment => "Enrichment",
        Section::Custom => "More",
    }
}

/// What was done, said of one key.
pub(crate) fn of_key(label: &str, notice: &str) -> String {
    format!("“{label}”: {notice}")
}

pub(crate) fn found(providers: usize) -> String {
    match providers {
        0 => String::new(),
        1 => "1 provider".to_owned(),
        providers => format!("{providers} providers"),
    }
}

/// How many requests a day had, and how many of them met a limit or an error.
pub(crate) fn requests(all: u64, failed: u64) -> String {
    let all = match all {
        0 => return "No requests in the last 24 hours".to_owned(),
        1 => "1 request in the last 24 hours".to_owned(),
        all => format!("{} requests in the last 24 hours", grouped(all)),
    };
    match failed {
        0 => all,
        failed => format!("{all}, {} of them met a limit or an error", grouped(failed)),
    }
}

/// The hour with the most requests.
pub(crate) fn busiest(requests: u64, from: &str, to: &str) -> String {
    format!("Most were between {from} and {to} UTC: {}.", grouped(requests))
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let place = |index: usize| digits.len() - index;
    let comma = |index: usize| index > 0 && place(index).is_multiple_of(3);
    digits.char_indices().flat_map(|(at, digit)| comma(at).then_some(',').into_iter().chain([digit])).collect()
}

pub(crate) fn role(role: claviger_core::portal::PortalRole) -> &'static str {
    use claviger_core::portal::PortalRole;
    match role {
        PortalRole::Admin => "Manages keys",
        PortalRole::Member => "Looks at keys",
    }
}

pub(crate) fn since(ago: i64) -> String {
    if ago < 60_000 { "Since just now".to_owned() } else { format!("Since {} ago", span(ago)) }
}

pub(crate) fn until(left: i64) -> String {
    format!("Ends in {}", span(left))
}

pub(crate) fn no_match(search: &str) -> String {
    format!("No provider matches “{search}”.")
}

pub(crate) fn invalid_secret(invalid: InvalidSecret) -> &'static str {
    match invalid {
        InvalidSecret::Empty => "Enter a key.",
        InvalidSecret::TooLong => "A key has at most 4,096 characters.",
        InvalidSecret::NotVisible => "A key has no spaces, line breaks or special characters. Copy it again.",
    }
}

pub(crate) fn invalid_name(invalid: InvalidName) -> &'static str {
    match invalid {
        InvalidName::TooLong => "A label has at most 120 characters.",
        InvalidName::Control => "A label has no line breaks or other control characters.",
    }
}

pub(crate) fn duplicate(label: &str) -> String {
    format!("This key is here already, as “{label}”.")
}

pub(crate) fn refused_by(provider: &str) -> String {
    format!("{provider} does not accept this key, so it was not saved.")
}

pub(crate) fn begins_with(prefixes: &[String]) -> String {
    let quoted: Vec<_> = prefixes.iter().map(|prefix| format!("“{prefix}”")).collect();
    format!("Keys usually begin with {}.", quoted.join(" or "))
}

pub(crate) fn shares_limits(with: &str) -> String {
    format!("Shares its account’s limits with {with}.")
}

/// What is said of a provider's keys in the list.
pub(crate) fn count(all: usize, well: usize) -> String {
    match (all, well) {
        (0, _) => "No key".to_owned(),
        (1, 1) => "1 key, working".to_owned(),
        (1, _) => "1 key, not working".to_owned(),
        (all, well) if all == well => format!("{all} keys, all working"),
        (all, 0) => format!("{all} keys, none working"),
        (all, well) => format!("{all} keys, {well} working"),
    }
}

/// What follows when a key is deleted: how many others are there, how many of them are switched on, and whether the
/// organization has some to lend.
pub(crate) fn after_deletion(others: usize, on: usize, lent: bool, provider: &str) -> String {
    match (others, on, lent) {
        (0, _, true) => "This is the last key: your organization’s keys will be used.".to_owned(),
        (0, _, false) => format!("This is the last key: nothing will be used, and requests to {provider} may fail."),
        (_, 0, _) => format!("The other keys are switched off: requests to {provider} fail until one is switched on."),
        (_, 1, _) => "Requests continue on the remaining key.".to_owned(),
        (_, on, _) => format!("Requests continue on the remaining {on} keys."),
    }
}

pub(crate) fn delete_title(label: &str) -> String {
    format!("Delete “{label}”?")
}

pub(crate) fn replace_title(label: &str) -> String {
    format!("Replace “{label}”")
}

pub(crate) fn rename_title(label: &str) -> String {
    format!("Rename “{label}”")
}

pub(crate) fn keys_of(provider: &str) -> String {
    format!("{provider} keys")
}

/// A length of time, rounded up, as short as it can be said.
pub(crate) fn span(millis: i64) -> String {
    let seconds = u64::try_from(millis).unwrap_or_default().div_ceil(1_000);
    match seconds {
        0..=90 => format!("{seconds} s"),
        91..=5_400 => format!("{} min", seconds.div_ceil(60)),
        5_401..=172_800 => format!("{} h", seconds.div_ceil(3_600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

pub(crate) fn last_used(ago: i64) -> String {
    if ago < 60_000 { "Last used just now".to_owned() } else { format!("Last used {} ago", span(ago)) }
}

pub(crate) const WORKING: &str = "Working";
pub(crate) const SWITCHED_OFF: &str = "Switched off";
pub(crate) const UNREADABLE: &str = "Cannot be read: replace it";

pub(crate) fn rate_limited(back: Option<&str>) -> String {
    back.map_or_else(|| "Rate limited".to_owned(), |back| format!("Rate limited, back in {back}"))
}

pub(crate) fn exhausted(back: Option<&str>) -> String {
    back.map_or_else(|| "No credit left".to_owned(), |back| format!("No credit left, tried again in {back}"))
}

pub(crate) fn rejected(back: Option<&str>) -> String {
    let again = |back| format!("Refused by the provider, tested again in {back}");
    back.map_or_else(|| "Refused by the provider".to_owned(), again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_commas() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(requests(1_200, 3), "1,200 requests in the last 24 hours, 3 of them met a limit or an error");
    }
}
