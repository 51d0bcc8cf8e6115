//! The database's URL, and how the database is named in messages: never with a user or a password.

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// What the URL may say after its question mark. Others are refused: a misspelled `sslmode` must not go unnoticed.
const PARAMETERS: &str = "sslmode, sslrootcert, sslcert, sslkey, host, hostaddr, port, dbname, user, password, \
                          application_name, options, statement-cache-capacity";

const FORM: &str = "It has the form postgres://user:password@host:port/database?parameters, where all characters but \
                    letters, digits and -._~ in a part are written as %40 and the like";

/// How a database is reached.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) name: String,
    pub(crate) options: PgConnectOptions,
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?parameters`. A refusal is in words that hold nothing of the
    /// URL but the name of a parameter.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err("its URL must begin with postgres://".to_owned());
        }
        check_separators(url)?;
        check_parameters(url)?;
        let options: PgConnectOptions = url.parse().map_err(|error| refusal(&error))?;
        // The library keeps the brackets of an IPv6 address, and the system's resolver does not know them.
        let host = options.get_host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut options = options.host(&host).disable_statement_logging();
        if options.get_application_name().is_none() {
            options = options.application_name("claviger");
        }
        Ok(Self { name: name(&options), options })
    }
}

/// A password with a bare `/`, `?` or `#` ends what is read as the host, and the rest of it would be taken for a
/// database's or a parameter's name, and shown.
fn check_separators(url: &str) -> Result<(), String> {
    let place = url.split_once("://").map_or("", |(_, place)| place);
    match place.split_once(['/', '?', '#']) {
        Some((_, rest)) if rest.contains('@') => Err(format!("its URL cannot be read: an @ is out of place. {FORM}")),
        _ => Ok(()),
    }
}

fn check_parameters(url: &str) -> Result<(), String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
        let name = percent_decode_str(name).decode_utf8_lossy();
        let option = name.starts_with("options[") && name.ends_with(']');
        if !option && !PARAMETERS.split(", ").any(|known| *known == *name) {
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            return Err(format!("its URL has the parameter {name:?}, which is not one of {PARAMETERS}"));
        }
    }
    Ok(())
}

/// What the library says of a URL names a wrong value of a parameter at most, never the URL.
fn refusal(error: &sqlx::Error) -> String {
    let sqlx::Error::Configuration(why) = error else {
        return "its URL cannot be read".to_owned();
    };
    let why = why.to_string();
    let why = why.lines().next().unwrap_or_default();
    format!("its URL cannot be read: {why}. {FORM}")
}

fn name(options: &PgConnectOptions) -> String {
    let place = match options.get_socket() {
        Some(folder) => format!("{}:{}", folder.display(), options.get_port()),
        None => match options.get_host() {
            address if address.contains(':') => format!("[{address}]:{}", options.get_port()),
            host => format!("{host}:{}", options.get_port()),
        },
    };
    match options.get_database() {
        Some(database) => format!("{place}/{database}"),
        None => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(url: &str) -> String {
        Address::parse(url).map(|address| address.name).unwrap()
    }

    #[test]
    fn a_database_is_named_without_user_and_password() {
        assert_eq!(named("postgres://who:hush@db.example:5433/claviger?sslmode=require"), "db.example:5433/claviger");
        assert_eq!(named("postgresql://who:hush@[::1]:5433/claviger"), "[::1]:5433/claviger");
        assert_eq!(named("postgres://who@localhost:5432/claviger?host=/run/pg"), "/run/pg:5432/claviger");
    }

    #[test]
    fn an_ipv6_host_goes_to_the_resolver_without_brackets() {
        assert_eq!(
            Address::parse("postgres://[::1]/claviger").map(|a| a.options.get_host().to_owned()).unwrap(),
            "::1"
        );
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_in_one_line_without_it() {
        for (url, expected) in [
            ("mysql://who:hush@db/claviger", "must begin with postgres://"),
            ("postgres://who:hush@db:port/claviger", "cannot be read: invalid port number"),
            ("postgres://who:hu/sh@db/claviger", "cannot be read: an @ is out of place"),
            ("postgres://who:12/hush@db/claviger", "cannot be read: an @ is out of place"),
            ("postgres://who:12?hush@db/claviger", "cannot be read: an @ is out of place"),
            ("postgres://who:12#hush@db/claviger", "cannot be read: an @ is out of place"),
            ("postgres://who:hush@db/claviger?sslmod=require", "the parameter \"sslmod\""),
            ("postgres://who:hush@db/claviger?sslmode=always", "cannot be read"),
            ("postgres://who:hush@db/claviger?connect_timeout=3", "the parameter \"connect_timeout\""),
        ] {
            let refusal = Address::parse(url).map(|address| address.name).unwrap_err();
            assert!(refusal.contains(expected), "{refusal}");
            assert!(!refusal.contains("hush") && !refusal.contains('\n') && !refusal.contains("hu/sh"), "{refusal}");
        }
    }
}
