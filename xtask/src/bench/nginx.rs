//! nginx as a plain reverse proxy, with nothing on that a proxy of provider calls could do without.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::servers::{Endpoint, THREADS, random};
use crate::{install, run::Server};

pub(super) fn start(upstream: SocketAddr, dir: &Path) -> anyhow::Result<(Endpoint, Server)> {
    // nginx takes no port 0: one is chosen here and given up again.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let path = dir.join("nginx.conf");
    fs::write(&path, config(address, upstream, &random()?, dir)).context("cannot write nginx.conf")?;
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(dir).arg("-c").arg(path).args(["-e", "stderr"]);
    let mut server = Server::start("nginx", &mut nginx, dir)?;
    server.wait_for(|_| TcpStream::connect(address).ok())?;
    let endpoint = Endpoint { address, prefix: "/openai", token: random()?, process: Some(server.id()) };
    Ok((endpoint, server))
}

fn config(listen: SocketAddr, upstream: SocketAddr, key: &str, dir: &Path) -> String {
    // Started by root, nginx would make its workers `nobody`, who may not enter the directory.
    let user = if install::is_root() { "user root;" } else { "" };
    let dir = dir.display();
    format!(
        r#"{user}
worker_processes {THREADS};
daemon off;
pid {dir}/nginx.pid;
error_log stderr warn;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    client_body_temp_path {dir}/client-body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    tcp_nodelay on;
    # Connections stay open for the whole run, as the other targets keep theirs.
    keepalive_requests 1000000000;
    upstream mock {{
        server {upstream};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen} reuseport backlog=4096;
        location /openai/ {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Authorization "Bearer {key}";
            proxy_buffering off;
        }}
    }}
}}
"#
    )
}
