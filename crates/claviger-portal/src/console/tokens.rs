//! Tokens: seen, made, deleted.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use claviger_app::TokenRecord;
use claviger_app::tokens::{CreateToken, CreateTokenError, TokenHolder};
use claviger_core::access::TokenRole;
use claviger_core::{KeyName, Owner, Role, Timestamp, TokenId, WorkspaceId};
use http::StatusCode;
use zeroize::Zeroizing;

use crate::console::operator::{Entered, Posted};
use crate::console::page::{Frame, Place, Trouble};
use crate::console::show::{cut, encoded, minute, page as rows};
use crate::console::workspace::SecretPage;
use crate::console::{owner, text};
use crate::fields::Fields;
use crate::page::{Refused, render};

/// A token in a list.
pub(crate) struct TokenShown {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: &'static str,
    /// Empty for a service token.
    pub(crate) workspace: String,
    pub(crate) workspace_address: String,
    pub(crate) reveal: bool,
    /// Empty where it does not end.
    pub(crate) ends: String,
    pub(crate) made: String,
}

pub(crate) fn shown(base: &str, token: &TokenRecord) -> TokenShown {
    let workspace = token.workspace.clone().map(Owner::Workspace);
    TokenShown {
        id: token.id.to_string(),
        name: token.name.clone(),
        role: Role::from(token.role).as_str(),
        workspace: workspace.as_ref().map(|owner| owner.id().to_owned()).unwrap_or_default(),
        workspace_address: workspace.map(|owner| format!("{base}{}", owner::path(&owner))).unwrap_or_default(),
        reveal: token.reveal,
        ends: token.expires_at.map(minute).unwrap_or_default(),
        made: minute(token.created_at),
    }
}

#[derive(Template)]
#[template(path = "console/tokens.html")]
struct TokensPage {
    frame: Frame,
    /// The workspace whose tokens are listed; empty for all.
    of: String,
    tokens: Vec<TokenShown>,
    /// Where the list goes on; empty where it does not.
    next: String,
    typed: Typed,
}

/// What the form for a token says of itself.
#[derive(Default)]
struct Typed {
    name: String,
    role: String,
    workspace: String,
    reveal: bool,
    ends: String,
    name_error: &'static str,
    role_error: &'static str,
    workspace_error: &'static str,
    reveal_error: &'static str,
    ends_error: &'static str,
}

impl Typed {
    fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).trim().to_owned();
        Self {
            name: text("name"),
            role: text("role"),
            workspace: text("workspace"),
            reveal: !fields.get("reveal").is_empty(),
            ends: text("ends"),
            ..Self::default()
        }
    }

    fn is_wrong(&self) -> bool {
        let errors = [self.name_error, self.role_error, self.workspace_error, self.reveal_error, self.ends_error];
        errors.iter().any(|error| !error.is_empty())
    }

    /// The token that is asked for; `None` where something is wrong, which is then noted.
    fn check(&mut self) -> Option<CreateToken> {
        let name = match KeyName::parse(&self.name) {
            Ok(Some(name)) => Some(name.as_str().to_owned()),
            Ok(None) => {
                self.name_error = text::NO_NAME;
                None
            }
            Err(invalid) => {
                self.name_error = crate::text::invalid_name(invalid);
                None
            }
        };
        let (holder, expires_at) = (self.holder(), self.end());
        if self.is_wrong() {
            return None;
        }
        Some(CreateToken { name: name?, holder: holder?, reveal: self.reveal, expires_at })
    }

    fn holder(&mut self) -> Option<TokenHolder> {
        let workspace: Option<Result<WorkspaceId, _>> = match self.workspace.as_str() {
            "" => None,
            id => Some(id.parse()),
        };
        match (TokenRole::parse(&self.role), workspace) {
            (None, _) => self.role_error = text::BAD_ROLE,
            (_, Some(Err(_))) => self.workspace_error = text::BAD_ID,
            (Some(TokenRole::Service), None) => return Some(TokenHolder::Service),
            (Some(TokenRole::Service), Some(Ok(_))) => self.workspace_error = text::WORKSPACE_OF_SERVICE,
            (Some(_), None) => self.workspace_error = text::NO_WORKSPACE_NAMED,
            (Some(role), Some(Ok(workspace))) => return Some(TokenHolder::Workspace(role, workspace)),
        }
        None
    }

    /// The end of the day that was named, in UTC.
    fn end(&mut self) -> Option<Timestamp> {
        if self.ends.is_empty() {
            return None;
        }
        let end = Some(&self.ends).filter(|day| day.len() == 10);
        let end = end.and_then(|day| Timestamp::parse(&format!("{day}T23:59:59.999Z")));
        if end.is_none() {
            self.ends_error = text::BAD_DATE;
        }
        end
    }

    /// Notes why a token was not made, as far as the form has a place for it.
    fn note(&mut self, error: CreateTokenError) -> Result<(), Trouble> {
        match error {
            CreateTokenError::NoWorkspace => self.workspace_error = text::UNKNOWN_WORKSPACE,
            CreateTokenError::RevealForRole => self.reveal_error = text::REVEAL_FOR_ROLE,
            CreateTokenError::AlreadyExpired => self.ends_error = text::PAST_DATE,
            // Root may make every token.
            CreateTokenError::Forbidden | CreateTokenError::RevealForbidden => {
                return Err(Trouble::Unfit(&text::FORBIDDEN));
            }
            CreateTokenError::Seal(error) => return Err(Trouble::Failed(Box::new(error))),
            CreateTokenError::Store(error) => return Err(error.into()),
        }
        Ok(())
    }
}

pub(crate) async fn list(entered: Entered) -> Result<Response, Refused> {
    let typed = Typed { workspace: entered.asked("workspace").to_owned(), ..Typed::default() };
    list_page(&entered, StatusCode::OK, typed).await
}

async fn list_page(entered: &Entered, status: StatusCode, typed: Typed) -> Result<Response, Refused> {
    let permit = entered.may_manage_tokens()?;
    let (tokens, base) = (&entered.console.app().tokens, &entered.console.base);
    let page = rows(entered.asked("cursor").parse().ok());
    let of: Option<WorkspaceId> = entered.asked("workspace").parse().ok();
    let found = match &of {
        Some(workspace) => tokens.list_of(&permit, workspace, &page).await,
        None => tokens.list(&permit, &page).await,
    };
    let mut found = found.map_err(|error| entered.refuse(error))?;
    let more = cut(&mut found);
    let of = of.map(|id| id.to_string()).unwrap_or_default();
    let last = found.last().filter(|_| more);
    let next = last.map(|last| format!("{base}/tokens?workspace={}&cursor={}", encoded(&of), last.id));
    let page = TokensPage {
        frame: entered.frame(Place::Tokens, text::TOKENS),
        of,
        tokens: found.iter().map(|token| shown(base, token)).collect(),
        next: next.unwrap_or_default(),
        typed,
    };
    Ok(render(status, &page))
}

/// Makes a token. Its text is on this answer's page and nowhere else.
pub(crate) async fn create(Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let permit = entered.may_manage_tokens()?;
    let mut typed = Typed::of(&fields);
    if let Some(create) = typed.check() {
        match entered.console.app().tokens.create(&permit, create).await {
            Ok((token, record)) => {
                let page = SecretPage {
                    frame: entered.frame(Place::Tokens, text::NEW_TOKEN),
                    label: text::TOKEN,
                    secret: Zeroizing::new(token.reveal_once().to_owned()),
                    hint: text::token_hint(&record.name, record.id.as_str()),
                    address: format!("{}/tokens", entered.console.base),
                };
                return Ok(render(StatusCode::OK, &page));
            }
            Err(error) => typed.note(error).map_err(|trouble| entered.refuse(trouble))?,
        }
    }
    list_page(&entered, StatusCode::UNPROCESSABLE_ENTITY, typed).await
}

#[derive(Template)]
#[template(path = "console/delete_token.html")]
struct DeletePage {
    frame: Frame,
    token: TokenShown,
}

async fn found(entered: &Entered, id: &str) -> Result<TokenRecord, Refused> {
    let gone = || entered.tell(StatusCode::NOT_FOUND, &text::NO_TOKEN);
    let id: TokenId = id.parse().map_err(|_| gone())?;
    let permit = entered.may_manage_tokens()?;
    let token = entered.console.app().tokens.get(&permit, &id).await;
    token.map_err(|error| entered.refuse(error))?.ok_or_else(gone)
}

pub(crate) async fn delete_form(Path(id): Path<String>, entered: Entered) -> Result<Response, Refused> {
    let token = found(&entered, &id).await?;
    let frame = entered.frame(Place::Tokens, &text::delete_title(text::A_TOKEN, &token.name));
    Ok(render(StatusCode::OK, &DeletePage { frame, token: shown(&entered.console.base, &token) }))
}

pub(crate) async fn delete(Path(id): Path<String>, Posted { entered, .. }: Posted) -> Result<Response, Refused> {
    let token = found(&entered, &id).await?;
    let permit = entered.may_manage_tokens()?;
    let deleted = entered.console.app().tokens.delete(&permit, &token.id).await;
    deleted.map_err(|error| entered.refuse(error))?;
    Ok(entered.after("/tokens", "token-deleted"))
}
