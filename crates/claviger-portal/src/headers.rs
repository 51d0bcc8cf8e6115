//! The headers of every answer: what may run and be loaded, who may hold a page in a frame, and the look that is kept.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};

use crate::look::Look;
use crate::visitor::{Way, query};
use crate::{Portal, Shared};

/// One script of this origin runs, nothing is loaded from elsewhere, and no form leads away.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors";

/// An answer that says itself whether a frame may hold it, whatever the request's cookies are.
#[derive(Clone, Copy)]
pub(crate) struct Framed(pub(crate) bool);

impl Portal {
    fn policy(&self, framed: bool) -> String {
        let mut policy = POLICY.to_owned();
        let hosts = self.app.portal.embed_hosts();
        if !framed || hosts.is_empty() {
            policy.push_str(" 'none'");
        } else {
            policy.extend(hosts.iter().map(|origin| format!(" {origin}")));
        }
        policy
    }
}

/// For pages that no frame may hold, whoever sees them.
pub(crate) async fn put_unframed(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    put_common(response.headers_mut(), &format!("{POLICY} 'none'"));
    response
}

fn put_common(headers: &mut HeaderMap, policy: &str) {
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // With `no-referrer` browsers would send forms with the origin `null`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

pub(crate) async fn put(State(portal): State<Shared>, request: Request, next: Next) -> Response {
    let way = portal.way(request.headers());
    let look = Look::of(&query(request.uri()), request.headers());
    let is_new = look != Look::before(request.headers());
    let mut response = next.run(request).await;
    let said = response.extensions().get::<Framed>().copied();
    // What is shown to nobody in particular holds nothing to click on, and must be seen where a frame's session is over.
    let Framed(framed) = said.unwrap_or(Framed(way != Some(Way::Page)));
    let headers = response.headers_mut();
    put_common(headers, &portal.policy(framed));
    let in_frame = way == Some(Way::Frame) || said.is_some_and(|Framed(framed)| framed);
    let attributes = portal.attributes(if in_frame { Way::Frame } else { Way::Page });
    if let (true, Ok(cookie)) = (is_new, HeaderValue::from_str(&look.cookie(attributes))) {
        headers.append(SET_COOKIE, cookie);
    }
    response
}
