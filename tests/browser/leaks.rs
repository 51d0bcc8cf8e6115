//! The search for secrets finds them: each is planted where a page or a browser could have one.

use claviger_test_browser::{Manner, Person};
use claviger_testkit::random_secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A page of this head and body, for whoever asks.
async fn serve(listener: &TcpListener, head: &str, body: &str) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _asked = stream.read(&mut [0; 4_096]).await;
        let page = format!("<!doctype html><title>Keys</title><link rel=icon href=data:,><h1>Keys</h1>{body}");
        let length = page.len();
        let head = format!("content-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n{head}");
        // A browser that opens a connection on suspicion, and asks nothing, gets an answer that it does not read.
        let _gone = stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n{page}").as_bytes()).await;
    }
}

/// What is said of a browser at the end that was at such a page.
async fn said_of(query: &str, head: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/{query}", listener.local_addr().unwrap());
    let visit = async {
        let mut person = Person::arrives(Manner::default()).await;
        person.opens(&address).await;
        person.sees_heading("Keys").await;
        person.is_interrupted().await
    };
    tokio::select! {
        () = serve(&listener, head, body) => unreachable!("it goes on for ever"),
        said = visit => said,
    }
}

#[tokio::test]
async fn a_secret_that_a_page_shows_or_a_browser_keeps_is_found() {
    assert!(said_of("", "", "").await.contains("no secret was shown"));
    let secret = random_secret();
    let hidden = format!("<input type=hidden value={secret}>");
    assert!(said_of("", "", &hidden).await.contains("a secret is in the page"));
    assert!(said_of(&format!("?key={secret}"), "", "").await.contains("a secret is in an address"));
    let cookie = format!("set-cookie: draft={secret}; Path=/elsewhere; HttpOnly\r\n");
    let kept = "a secret is in a cookie, a store or the console";
    assert!(said_of("", &cookie, "").await.contains(kept));
    // In pieces, so that it does not stand in the page.
    let (begin, end) = secret.split_at(30);
    let pieces = format!("'{begin}' + '{end}'");
    for script in ["localStorage.draft = ", "sessionStorage.draft = ", "document.title = location.hash = "] {
        let body = format!("<script>{script}{pieces}</script>");
        let expected = if script.contains("Storage") { kept } else { "a secret is in an address" };
        assert!(said_of("", "", &body).await.contains(expected), "{script}");
    }
    assert!(said_of("", "", &format!("<script>console.log({pieces})</script>")).await.contains(kept));
}
