//! The owners of keys: a path each, and under all of them the same operations.

use claviger_core::{Owner, OwnerKind};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, Parameter, PathItem, Paths};
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::Shared;
use crate::error::{self, Code, Problem};

const KINDS: [OwnerKind; 3] = [OwnerKind::Workspace, OwnerKind::Organization, OwnerKind::Platform];

/// Where an owner of this kind is.
fn path(kind: OwnerKind) -> &'static str {
    match kind {
        OwnerKind::Workspace => "/api/workspaces/{id}",
        OwnerKind::Organization => "/api/organizations/{id}",
        OwnerKind::Platform => "/api/platform",
    }
}

/// Which kind of owner a route is about; `None` where it is about none.
pub(crate) fn kind_at(route: &str) -> Option<OwnerKind> {
    KINDS.into_iter().find(|kind| route.strip_prefix(path(*kind)).is_some_and(|rest| rest.starts_with('/')))
}

/// An owner that does not exist. Its id may be anything that a caller sent, so it is not repeated.
pub(crate) fn unknown(owner: &Owner) -> Problem {
    match owner {
        Owner::Workspace(_) => Problem::new(Code::UnknownWorkspace, "the workspace does not exist"),
        Owner::Organization(_) => Problem::new(Code::UnknownOrganization, "the organization does not exist"),
        // It always exists.
        Owner::Platform => Problem::new(Code::NotFound, "there is no platform"),
    }
}

/// Puts operations that are written down for workspaces under the paths of all three owners. Who asks for which is for
/// the permit; here the document is told what differs.
pub(crate) fn at_all((schemas, described, handlers): UtoipaMethodRouter<Shared>) -> UtoipaMethodRouter<Shared> {
    let mut paths = Paths::new();
    for (at, item) in &described.paths {
        for kind in KINDS {
            let at = at.replace(path(OwnerKind::Workspace), path(kind));
            paths.paths.insert(at, describe(kind, item.clone()));
        }
    }
    (schemas, paths, handlers)
}

fn describe(kind: OwnerKind, mut item: PathItem) -> PathItem {
    for operation in [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten() {
        describe_operation(kind, operation);
    }
    let changes = [&mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten();
    // What has no body changes nothing that a setting gives.
    for operation in changes.filter(|change| kind == OwnerKind::Platform && change.request_body.is_some()) {
        error::document(&mut operation.responses.responses, |code| code == Code::KeyGivenBySetting);
    }
    item
}

fn describe_operation(kind: OwnerKind, operation: &mut Operation) {
    let (tag, of, unknown, roles) = match kind {
        OwnerKind::Workspace => ("Keys", "", Some(Code::UnknownWorkspace), None),
        OwnerKind::Organization => {
            ("Organization keys", "Organization", Some(Code::UnknownOrganization), Some(&["root", "service"][..]))
        }
        OwnerKind::Platform => ("Platform keys", "Platform", None, Some(&["root"][..])),
    };
    // What has a tag of its own keeps it.
    operation.tags.get_or_insert_with(|| vec![tag.to_owned()]);
    let named = |id: String| ["Key", "AuditLog"].iter().fold(id, |id, what| id.replace(what, &format!("{of}{what}")));
    operation.operation_id = operation.operation_id.take().map(named);
    error::document(&mut operation.responses.responses, |code| Some(code) == unknown);
    if let Some(roles) = roles {
        operation.security = Some(vec![SecurityRequirement::new("token", roles.iter().copied())]);
    }
    if let Some(parameters) = &mut operation.parameters {
        parameters.retain(|parameter| kind != OwnerKind::Platform || !is_id(parameter));
        for parameter in parameters.iter_mut().filter(|parameter| is_id(parameter)) {
            if let RefOr::T(parameter) = parameter {
                parameter.description = Some(format!("The {}.", kind.as_str()));
            }
        }
    }
}

fn is_id(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.name == "id")
}
