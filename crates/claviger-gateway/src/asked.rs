//! A request that was let in, and what of it goes out in each attempt.

use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use claviger_app::keyring::Lease;
use claviger_core::catalogue::Auth;
use claviger_core::{KeySecret, WorkspaceId};
use foldhash::fast::RandomState;
use hyper::{HeaderMap, Method, Request};

use crate::answer::Refusal;
use crate::body::Sent;
use crate::forward::{self, Destination};
use crate::limits::Place;
use crate::pace::{CallerBody, Watched};
use crate::replay::{Budget, KeptHeaders, Lost, Recording};
use crate::upgrade::Upgrade;

/// So that a workspace has the same number everywhere.
static FIXED: OnceLock<RandomState> = OnceLock::new();

/// A request that was let in, with what every attempt needs of it.
pub(crate) struct Asked<'a> {
    pub(crate) destination: Destination<'a, 'a>,
    pub(crate) token: &'a [u8],
    pub(crate) workspace: WorkspaceId,
    pub(crate) method: Method,
    /// Until the first attempt.
    pub(crate) headers: HeaderMap,
    /// For further ones.
    pub(crate) kept: Option<KeptHeaders>,
    pub(crate) body: Asking,
    /// Why the body came to no end, where it did not.
    pub(crate) fault: Option<Watched>,
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) place: Option<Box<Place>>,
}

/// The caller's body.
pub(crate) enum Asking {
    /// There is none.
    Empty,
    /// As it comes; goes with the first attempt.
    Streamed(Option<CallerBody>),
    /// Recorded on its way, for further attempts.
    Recorded(Recording),
    /// Collected, because the key goes into it.
    Whole(Bytes),
}

impl Asked<'_> {
    /// A number of the workspace's own, in this process.
    pub(crate) fn number(&self) -> u64 {
        FIXED.get_or_init(RandomState::default).hash_one(&self.workspace)
    }

    /// The caller's request as the provider gets it in this attempt.
    pub(crate) fn request(
        &mut self,
        secret: &KeySecret,
        lease: &Lease,
        (limit, budget): (usize, &Arc<Budget>),
    ) -> Result<Request<Sent>, Refusal> {
        let target = self.destination.target(self.token, secret)?;
        let mut headers = if let Some(kept) = &self.kept {
            kept.unpacked()
        } else {
            // Only where there can be another attempt.
            self.kept = lease.has_others().then(|| KeptHeaders::of(&self.headers));
            std::mem::take(&mut self.headers)
        };
        self.destination.headers(&mut headers, self.token, secret)?;
        if let Some(upgrade) = &self.upgrade {
            upgrade.put_headers(&mut headers);
        }
        if let Asking::Streamed(body) = &mut self.body
            && lease.has_others()
            && let Some(body) = body.take()
        {
            self.body = Asking::Recorded(Recording::new(body, limit, budget));
        }
        let body = match &mut self.body {
            Asking::Empty => Sent::Rewritten(None),
            Asking::Streamed(body) => body.take().map_or(Sent::Rewritten(None), Sent::Streamed),
            Asking::Recorded(recording) => Sent::Recorded(recording.play()),
            Asking::Whole(body) => {
                let Auth::Body { field } = self.destination.auth() else {
                    return Err(Refusal::NoJsonBody);
                };
                let body = forward::body_with_key(body, field, secret).ok_or(Refusal::NoJsonBody)?;
                forward::set_length(&mut headers, body.len());
                Sent::Rewritten(Some(body))
            }
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target.into();
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl Asking {
    /// There will be no further attempt.
    pub(crate) fn stop(&self) {
        if let Self::Recorded(recording) = self {
            recording.stop();
        }
    }

    /// Why it cannot be sent again, if it cannot.
    pub(crate) fn lost(&self) -> Option<Lost> {
        match self {
            Self::Empty | Self::Whole(_) => None,
            Self::Streamed(_) => Some(Lost::TooLarge),
            Self::Recorded(recording) => recording.lost(),
        }
    }
}
