//! The portal in a frame of a page of another site.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::stage::{Scene, Stage};

/// A product's page that holds the portal in a frame. Its host is `localhost`, and the portal's is an address: to a
/// browser these are two sites.
struct Product {
    listener: TcpListener,
    origin: String,
}

impl Product {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        Self { listener, origin }
    }

    /// Answers while a test is played. What stands behind the question mark is the frame's address.
    async fn beside(&self, play: impl Future<Output = ()>) {
        tokio::select! {
            () = self.answer() => {}
            () = play => {}
        }
    }

    async fn answer(&self) {
        loop {
            let (mut stream, _) = self.listener.accept().await.unwrap();
            let mut asked = [0; 4_096];
            let length = stream.read(&mut asked).await.unwrap_or_default();
            let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
            let frame = asked.split(' ').nth(1).and_then(|path| path.split_once('?')).map_or("", |(_, frame)| frame);
            let page = format!(
                "<!doctype html><html lang=en><title>Settings</title><link rel=icon href=data:,><h1>Settings</h1>\
                 <iframe title=Keys src=\"{frame}\" style=\"width: 100%; height: 700px; border: 0\"></iframe>"
            );
            let head = format!("content-type: text/html\r\ncontent-length: {}\r\nconnection: close", page.len());
            // A browser that opens a connection on suspicion, and asks nothing, gets an answer that it does not read.
            let _gone = stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{page}").as_bytes()).await;
        }
    }

    /// Opens the product's page with such a link in its frame, and looks into that.
    async fn shows(&self, scene: &mut Scene, grant: serde_json::Value) {
        let link = scene.link(grant).await;
        scene.person.opens(&format!("{}/?{link}", self.origin)).await;
        scene.person.sees_heading("Settings").await;
        scene.person.looks_into_the_frame().await;
    }
}

const HOSTS: &str = "CLAVIGER_PORTAL__EMBED_HOSTS";

#[tokio::test]
async fn a_listed_page_holds_the_portal_in_a_frame_and_keys_can_be_changed_there() {
    let product = Product::new().await;
    let play = Stage::new().with(HOSTS, &product.origin).play(async |scene| {
        product.shows(scene, json!({"role": "admin", "mode": "embed", "providers": ["openai"]})).await;
        scene.person.assert_accessible().await;
        scene.person.sends("Continue").await;
        scene.person.sees_heading("API keys").await;
        scene.person.assert_accessible().await;
        scene.person.clicks("Add key · OpenAI").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "From a frame").await;
        scene.person.sends("Add key").await;
        scene.person.sees("The key was added.").await;
        scene.person.clicks("Delete · From a frame").await;
        scene.person.sends("Delete").await;
        scene.person.sees("The key was deleted.").await;
        assert_eq!(scene.stored().await, []);
    });
    product.beside(play).await;
}

#[tokio::test]
async fn without_scripts_the_portal_works_in_a_frame_too() {
    let product = Product::new().await;
    let play = Stage::new().without_scripts().with(HOSTS, &product.origin).play(async |scene| {
        product.shows(scene, json!({"role": "admin", "mode": "embed"})).await;
        scene.person.sends("Continue").await;
        scene.person.clicks("Add key · OpenAI").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.sends("Add key").await;
        scene.person.sees("The key was added.").await;
    });
    product.beside(play).await;
}

#[tokio::test]
async fn a_page_that_is_not_listed_cannot_hold_the_portal() {
    let (listed, other) = (Product::new().await, Product::new().await);
    let play = Stage::new().with(HOSTS, &listed.origin).play(async |scene| {
        scene.person.expects_complaint("frame-ancestors");
        other.shows(scene, json!({"role": "admin", "mode": "embed"})).await;
        scene.person.finds_the_frame_refused().await;
    });
    other.beside(play).await;
}

#[tokio::test]
async fn a_link_that_is_not_for_frames_opens_in_none() {
    let product = Product::new().await;
    let play = Stage::new().with(HOSTS, &product.origin).play(async |scene| {
        scene.person.expects_complaint("frame-ancestors");
        product.shows(scene, json!({"role": "admin"})).await;
        scene.person.finds_the_frame_refused().await;
    });
    product.beside(play).await;
}

#[tokio::test]
async fn the_pages_of_a_session_that_is_not_for_frames_open_in_none() {
    let product = Product::new().await;
    let play = Stage::new().with(HOSTS, &product.origin).play(async |scene| {
        scene.enters_as_admin().await;
        let inside = scene.address("/portal/providers/openai");
        scene.person.opens(&format!("{}/?{inside}", product.origin)).await;
        scene.person.looks_into_the_frame().await;
        // A frame of another site has none of the page's cookies: to the portal, nobody is there.
        scene.person.expects_complaint(&crate::stage::status(401));
        scene.person.sees_heading("You are not signed in").await;
        assert!(!scene.person.is_offered("Add key").await);
    });
    product.beside(play).await;
}
