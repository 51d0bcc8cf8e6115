//! One setting over the other.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use config::builder::DefaultState;
use config::{Config, ConfigBuilder, ConfigError, Environment, File, FileFormat};

use super::Settings;
use crate::cli::{LogFormat, ServeFlags, SettingsFlags};

const DEFAULTS: &str = include_str!("../../../../claviger.toml");
const PREFIX: &str = "CLAVIGER_";

/// Loads the settings. `environment` stands for the process's own where it is given.
pub(super) fn load(
    flags: &SettingsFlags,
    serve: Option<&ServeFlags>,
    environment: Option<HashMap<String, String>>,
) -> anyhow::Result<Settings> {
    let builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    let builder = add_file(builder, flags.config.as_deref())?;
    let builder = builder.add_source(environment_source(environment));
    let builder = add_flags(builder, flags, serve).context("flags")?;
    read(builder)
}

/// The defaults alone.
pub(super) fn defaults() -> anyhow::Result<Settings> {
    read(Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml)))
}

fn read(builder: ConfigBuilder<DefaultState>) -> anyhow::Result<Settings> {
    let merged = builder.build().map_err(|error| anyhow!("settings: {}", unreadable(&error)))?;
    let settings: Settings = serde_path_to_error::deserialize(merged).map_err(|error| {
        let path = error.path().to_string();
        let mut message = one_line(&error.into_inner().to_string());
        let section = path.split('.').next().unwrap_or_default();
        if matches!(section, "vault" | "auth" | "database" | "valkey" | "platform")
            && !message.contains("unknown field")
        {
            "it has not the form that it should have (which is not shown, since it may be a secret)"
                .clone_into(&mut message);
        }
        if path == "." { anyhow!("settings: {message}") } else { anyhow!("setting {path}: {message}") }
    })?;
    settings.check()?;
    Ok(settings)
}

fn add_file(builder: ConfigBuilder<DefaultState>, file: Option<&Path>) -> anyhow::Result<ConfigBuilder<DefaultState>> {
    match file {
        Some(file) if !file.is_file() => Err(anyhow!("--config {}: there is no such file", file.display())),
        Some(file) => Ok(builder.add_source(File::from(file).format(FileFormat::Toml))),
        None => Ok(builder.add_source(File::from(Path::new("claviger.toml")).format(FileFormat::Toml).required(false))),
    }
}

/// The environment, without what Kubernetes puts there by itself for a service that is named like this program.
fn environment_source(environment: Option<HashMap<String, String>>) -> Environment {
    let all = environment.unwrap_or_else(|| process_environment().collect());
    let ours = all.into_iter().filter(|(name, _)| {
        name.strip_prefix(PREFIX)
            .is_some_and(|rest| !rest.starts_with("SERVICE_") && rest != "PORT" && !rest.starts_with("PORT_"))
    });
    Environment::with_prefix("CLAVIGER").prefix_separator("_").separator("__").source(Some(ours.collect()))
}

/// The process's own environment. A variable that is not text cannot be one of ours.
pub(crate) fn process_environment() -> impl Iterator<Item = (String, String)> {
    #[expect(clippy::disallowed_methods, reason = "this is the config that settings come through")]
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn add_flags(
    mut builder: ConfigBuilder<DefaultState>,
    flags: &SettingsFlags,
    serve: Option<&ServeFlags>,
) -> anyhow::Result<ConfigBuilder<DefaultState>> {
    if let Some(data_dir) = &flags.data_dir {
        let data_dir = data_dir.to_str().context("--data-dir is not text")?;
        builder = builder.set_override("data_dir", data_dir)?;
    }
    if let Some(listen) = serve.and_then(|serve| serve.listen.as_deref()) {
        builder = builder.set_override("server.listen", listen)?;
    }
    if let Some(format) = serve.and_then(|serve| serve.log_format) {
        let format = match format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        builder = builder.set_override("log.format", format)?;
    }
    Ok(builder)
}

/// What is wrong with a file. The first line of its error says where; those after it repeat what stands there, and that
/// may be a secret.
fn unreadable(error: &ConfigError) -> String {
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    match error {
        ConfigError::FileParse { uri: Some(file), cause } => format!("{file}: {}", first_line(cause.to_string())),
        other => first_line(other.to_string()),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
