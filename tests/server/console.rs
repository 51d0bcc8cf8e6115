//! The operator's console, of a server as it is run.

use bytes::Bytes;
use claviger_testkit::{Answer, Deployment, Running, random_secret};
use http_body_util::Full;
use hyper::Request;

async fn sign_in(server: &Running, token: &str) -> Answer {
    let url = server.process.url();
    let request = Request::post(format!("{url}/console/sign-in"))
        .header("origin", url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(Bytes::from(format!("token={token}"))))
        .unwrap();
    server.root.try_request(request).await.unwrap()
}

async fn look(server: &Running, path: &str, cookie: &str) -> (u16, String) {
    let request = Request::get(format!("{}{path}", server.process.url())).header("cookie", cookie);
    let answer = server.root.try_request(request.body(Full::default()).unwrap()).await.unwrap();
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.bytes).into_owned())
}

#[tokio::test]
async fn the_root_token_opens_the_console_and_nothing_of_it_is_logged() {
    let deployment = Deployment::new().with("CLAVIGER_LOG__LEVEL", "trace");
    let mut server = deployment.serve();
    let wrong = random_secret();
    assert_eq!(sign_in(&server, &wrong).await.status, 403);
    let entered = sign_in(&server, deployment.root_token()).await;
    assert_eq!((entered.status.as_u16(), entered.header("location")), (303, "/console"));
    let cookie = entered.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(look(&server, "/console", "").await.0, 401);
    let (status, page) = look(&server, "/console/health", &cookie).await;
    assert_eq!(status, 200);
    let data_dir = deployment.data_dir().display().to_string();
    for words in [&format!("SQLite, {data_dir}/claviger.db"), &format!("the file {data_dir}/master.key"), "Heard of"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(server.process.terminate().success());

    // Another server on the same data knows the session; one with another root token does not.
    let again = deployment.serve();
    assert_eq!(look(&again, "/console", &cookie).await.0, 200);
    drop(again);
    let other = random_secret();
    let changed = deployment.with("CLAVIGER_AUTH__ROOT_TOKEN", &other);
    let other_root = changed.serve();
    assert_eq!(look(&other_root, "/console", &cookie).await.0, 401);

    let log = server.process.stderr();
    assert!(log.contains("somebody signed in to the console") && log.contains("not the root token"), "{log}");
    let database = std::fs::read(changed.data_dir().join("claviger.db")).unwrap();
    for secret in [wrong.as_str(), changed.root_token(), cookie.rsplit('_').next().unwrap()] {
        assert!(!log.contains(secret), "{log}");
        assert!(!database.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
    }
}
