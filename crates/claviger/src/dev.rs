//! `claviger dev`: the whole product on throw-away data.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context;
use claviger_app::App;
use claviger_app::access::{ManageKeys, ManagePortal, ManageWorkspaces, Principal};
use claviger_app::keys::PutKey;
use claviger_app::portal::{CreatePortalLink, LINK_LIVES};
use claviger_app::tokens::{CreateToken, TokenHolder};
use claviger_app::workspaces::PutWorkspace;
use claviger_core::access::TokenRole;
use claviger_core::portal::PortalRole;
use claviger_core::{KeyName, KeySecret, Owner, WorkspaceId};
use claviger_mock_provider::MockProvider;
use claviger_seal::NewToken;
use serde_json::json;
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

use crate::cli::{DevFlags, LogFormat};
use crate::serve::{Door, Server, Stop, node_name};
use crate::settings::Settings;
use crate::{log, memory, open, print};

const WORKSPACE: &str = "demo";
/// The demonstration's keys: provider, and name.
const KEYS: [(&str, &str); 5] = [
    ("openai", "Research team"),
    ("openai", "Production"),
    ("openai", "Backup account"),
    ("anthropic", "Production"),
    ("anthropic", "Batch jobs"),
];

/// Runs the demonstration until it is told to stop.
pub(crate) async fn run(json: bool, flags: &DevFlags) -> anyhow::Result<()> {
    log::begin(LogFormat::Text, LevelFilter::WARN);
    let swap = memory::lock();
    let folder = tempfile::tempdir().context("no temporary folder for the data")?;
    let mock = MockProvider::start(([127, 0, 0, 1], 0).into()).await.context("the mock provider")?;
    let mut settings = Settings::for_demonstration(flags.listen, folder.path(), &mock.addr().to_string())?;
    let stop = Stop::listen()?;
    let door = Door::find(&mut settings)?;
    let app = Arc::new(open::server(&settings, None).await?);
    let member = app.join(node_name()).await?;
    let root = app.admit_root(None).await?.context("a new database has a root token already")?;
    let runtime = fill(&app).await.context("the demonstration's data")?;
    let link = portal_link(&app).await.context("a link to the demonstration's portal")?;
    let server = Server::start(app, member, &settings, door)?;
    let url = format!("http://{}", server.address());
    let (root, runtime) = (root.reveal_once(), runtime.reveal_once());
    let welcome = if json {
        json!({"url": url, "workspaceId": WORKSPACE, "runtimeToken": runtime, "rootToken": root, "portal": *link})
            .to_string()
    } else {
        welcome(&url, root, runtime, &link)?
    };
    print::result(&welcome)?;
    swap.tell();
    stop.told().await;
    server.stop().await
}

/// A workspace with keys, and a token to use them with.
async fn fill(app: &App) -> anyhow::Result<NewToken> {
    let operator = Principal::operator();
    let workspace: WorkspaceId = WORKSPACE.parse()?;
    let permit = operator.permit::<ManageWorkspaces>(None)?;
    let put = PutWorkspace { name: Some(Some("Demo workspace".to_owned())), organization: None };
    app.workspaces.put(&permit, workspace.clone(), put).await?;
    let permit = operator.permit_on::<ManageKeys>(Owner::Workspace(workspace.clone()), None)?;
    for (provider, name) in KEYS {
        // A token's text is as random as a real key, and as worthless as the rest of this data.
        let secret = Zeroizing::new(NewToken::generate()?.reveal_once().replace("clv_", "demo-"));
        let put = PutKey {
            provider: provider.parse()?,
            secret: KeySecret::parse(&secret)?,
            name: KeyName::parse(name).map(Some)?,
            verify: false,
        };
        app.keys.add(&permit, put).await?;
    }
    let create = CreateToken {
        name: "Demo".to_owned(),
        holder: TokenHolder::Workspace(TokenRole::Runtime, workspace),
        reveal: false,
        expires_at: None,
    };
    Ok(app.tokens.create(&operator.permit_tokens(None)?, create).await?.0)
}

/// A link to the workspace's portal, for as long as links may last.
async fn portal_link(app: &App) -> anyhow::Result<Zeroizing<String>> {
    let permit = Principal::operator().permit_on::<ManagePortal>(Owner::Workspace(WORKSPACE.parse()?), None)?;
    let create = CreatePortalLink { expires_in: LINK_LIVES.1, ..CreatePortalLink::new(PortalRole::Admin) };
    Ok(app.portal.reveal_url(&app.portal.create(&permit, create).await?))
}

fn welcome(url: &str, root: &str, runtime: &str, link: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    write!(
        text,
        "Claviger runs at {url} on throw-away data. A mock provider answers for every provider.\n\
         \n\
         Workspace \"{WORKSPACE}\" has 3 OpenAI and 2 Anthropic keys.\n\
         Runtime token   {runtime}\n\
         Root token      {root}\n\
         Portal          {link} (opens once)\n\
         Console         {url}/console (by the root token)\n\
         API reference   {url}/docs\n\
         \n\
         Send a request; x-claviger-key-id names another key each time:\n\
         \n\
         curl -si {url}/gateway/openai/v1/chat/completions -H 'authorization: Bearer {runtime}' \
         -H 'content-type: application/json' -d '{{\"model\":\"gpt-5\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n\
         \n\
         Change a program with the OpenAI SDK over:\n\
         \n\
         export OPENAI_BASE_URL={url}/gateway/openai/v1\n\
         export OPENAI_API_KEY={runtime}\n\
         \n\
         Stop with Ctrl-C; the data goes with it."
    )?;
    Ok(text)
}
