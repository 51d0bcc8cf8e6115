//! What `valkey.url` says.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::error::ConnectError;

const PORT: u16 = 6_379;

/// A server, or the nodes of a cluster by which it is found, and how to speak to them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// One, or for a cluster one or more.
    pub(crate) nodes: Vec<Node>,
    pub(crate) tls: bool,
    /// A file of certificates that is trusted instead of the system's.
    pub(crate) ca: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: u32,
    pub(crate) cluster: bool,
}

/// Host and port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    /// A name or an IP address, which is without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        const FORM: ConnectError =
            ConnectError::Url("not of the form redis://HOST:PORT; it begins with redis, rediss, valkey or valkeys");
        let url = redis::parse_redis_url(url.trim()).ok_or(FORM)?;
        let tls = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(FORM),
        };
        if url.fragment().is_some() {
            return Err(ConnectError::Url("a # stands for itself only as %23"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(ConnectError::Url("the host is missing"))?;
        let mut address = Self {
            nodes: vec![Node { host: bare(host).to_owned(), port: url.port().unwrap_or(PORT) }],
            tls,
            ca: None,
            user: Some(decoded(url.username())?).filter(|user| !user.is_empty()),
            password: url.password().map(decoded).transpose()?.filter(|password| !password.is_empty()),
            database: database(url.path())?,
            cluster: false,
        };
        if address.user.is_some() && address.password.is_none() {
            return Err(ConnectError::Url("there is a user, but no password: a password alone is :PASSWORD@HOST"));
        }
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("cluster", "true") => address.cluster = true,
                ("cluster", "false") => address.cluster = false,
                ("cluster", _) => return Err(ConnectError::Url("cluster is true or false")),
                ("node", node) => address.nodes.push(Node::parse(node)?),
                ("ca", path) => address.ca = Some(path.to_owned()),
                (name, _) => return Err(ConnectError::Parameter(name.to_owned())),
            }
        }
        address.check()?;
        Ok(address)
    }

    fn check(&self) -> Result<(), ConnectError> {
        if self.nodes.len() > 1 && !self.cluster {
            return Err(ConnectError::Url("several nodes are a cluster: add cluster=true"));
        }
        if self.cluster && self.database != 0 {
            return Err(ConnectError::Url("a cluster has only the database 0: take the number out"));
        }
        if self.ca.is_some() && !self.tls {
            return Err(ConnectError::Url("ca is for TLS: write rediss:// in the place of redis://"));
        }
        Ok(())
    }
}

impl Node {
    fn parse(text: &str) -> Result<Self, ConnectError> {
        let (host, port) = match text.rsplit_once(':') {
            // An IPv6 address has colons of its own.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (text, Some(PORT)),
        };
        match (bare(host), port) {
            (host, Some(port)) if !host.is_empty() => Ok(Self { host: host.to_owned(), port }),
            _ => Err(ConnectError::Url("a node is written as node=HOST:PORT")),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("nodes", &self.nodes).field("tls", &self.tls).finish_non_exhaustive()
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn database(path: &str) -> Result<u32, ConnectError> {
    match path.trim_start_matches('/') {
        "" => Ok(0),
        number => {
            number.parse().map_err(|_| ConnectError::Url("behind the port comes nothing, or the database's number"))
        }
    }
}

fn decoded(text: &str) -> Result<String, ConnectError> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| ConnectError::Url("user and password must be UTF-8"))?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, port: u16) -> Node {
        Node { host: host.to_owned(), port }
    }

    #[test]
    fn a_url_names_host_port_database_and_credentials() {
        let address = Address::parse("valkeys://some%40one:a%3Ab%2F@cache.example:7000/3").unwrap();
        assert_eq!(address.nodes, [node("cache.example", 7_000)]);
        assert_eq!((address.user.as_deref(), address.password.as_deref()), (Some("some@one"), Some("a:b/")));
        assert_eq!((address.tls, address.database, address.cluster), (true, 3, false));
        let address = Address::parse("redis://[::1]").unwrap();
        assert_eq!(address.nodes[0].to_string(), "[::1]:6379");
        assert_eq!((address.user, address.password, address.tls), (None, None, false));
    }

    #[test]
    fn a_cluster_is_found_by_any_of_its_nodes() {
        let address = Address::parse("redis://a:1?cluster=true&node=b:2&node=[::1]:3&node=c").unwrap();
        assert_eq!(address.nodes, [node("a", 1), node("b", 2), node("::1", 3), node("c", PORT)]);
        assert!(address.cluster);
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_repeating_it() {
        let urls = [
            "",
            "localhost:6379",
            "http://:hush@host",
            "redis://:hush@",
            "redis://:hush@host:port",
            "redis+unix:///hush",
            "redis://:hush@host/zero",
            "redis://:hush@a?node=b:1",
            "redis://:hush@a:1,b:2",
            "redis://:hush@a/1?cluster=true",
            "redis://hush@host",
            "redis://:hush@a?cluster=perhaps",
            "redis://:hush@a?ca=/x",
            "redis://:hu#sh@a",
            "redis://:%ffhush@a",
            "redis://:hush@a?timeout=1",
            "rediss://:hush@a?cluster=true&node=:1",
        ];
        for url in urls {
            let message = Address::parse(url).expect_err(url).to_string();
            assert!(message.starts_with("valkey.url: ") && !message.contains("hush"), "{url}: {message}");
        }
    }

    #[test]
    fn printing_an_address_shows_no_password() {
        let address = Address::parse("redis://me:hush@host").unwrap();
        assert!(!format!("{address:?}").contains("hush"));
    }
}
