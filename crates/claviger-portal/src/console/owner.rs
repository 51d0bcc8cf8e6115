//! Owners of keys in the console's paths.

use std::collections::HashMap;

use claviger_core::Owner;

use crate::console::page::Place;
use crate::console::show::{of_segment, segment};

/// The owner that a path names by its parameters; the platform where it names none.
pub(crate) fn named(names: &HashMap<String, String>) -> Option<Owner> {
    match (names.get("workspace"), names.get("organization")) {
        (Some(workspace), _) => of_segment(workspace).map(Owner::Workspace),
        (None, Some(organization)) => of_segment(organization).map(Owner::Organization),
        (None, None) => Some(Owner::Platform),
    }
}

/// Where an owner's page is, below the console's.
pub(crate) fn path(owner: &Owner) -> String {
    match owner {
        Owner::Workspace(id) => format!("/workspaces/{}", segment(id.as_str())),
        Owner::Organization(id) => format!("/organizations/{}", segment(id.as_str())),
        Owner::Platform => "/platform".to_owned(),
    }
}

pub(crate) fn place(owner: &Owner) -> Place {
    match owner {
        Owner::Workspace(_) => Place::Workspaces,
        Owner::Organization(_) => Place::Organizations,
        Owner::Platform => Place::Platform,
    }
}
