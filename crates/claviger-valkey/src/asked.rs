//! A turn that was asked for, and for which nobody may wait any more when it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use claviger_app::coordination::SharedTurn;
use tokio::runtime::Handle;

use crate::line::{Live, Miss};
use crate::node::Node;
use crate::script::{News, Question, What};
use crate::word::Word;

/// Waits for a turn. Where the wait is given up, because the answer is late or the caller left, the answer is looked at
/// all the same: it may be a trial, of which nobody would ever hear, and which would keep all others off its key.
pub(crate) struct Asked(Option<Waiting>);

struct Waiting {
    answer: Pin<Box<dyn Future<Output = Result<SharedTurn, Miss>> + Send>>,
    question: Arc<Question>,
    live: Arc<Live>,
    node: Arc<Node>,
}

impl Asked {
    pub(crate) fn new(question: &Arc<Question>, live: &Arc<Live>, node: &Arc<Node>) -> Self {
        let answer = {
            let (question, live) = (Arc::clone(question), Arc::clone(live));
            Box::pin(async move { live.take(&question).await })
        };
        let (question, live, node) = (Arc::clone(question), Arc::clone(live), Arc::clone(node));
        Self(Some(Waiting { answer, question, live, node }))
    }
}

impl Future for Asked {
    type Output = Result<SharedTurn, Miss>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(waiting) = &mut self.0 else { return Poll::Pending };
        let answer = std::task::ready!(waiting.answer.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(answer)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let (Some(waiting), Ok(runtime)) = (self.0.take(), Handle::try_current()) else { return };
        let tasks = waiting.node.tasks.clone();
        // It ends with the answer, or with the connection.
        tasks.spawn_on(waiting.give_back(), &runtime);
    }
}

impl Waiting {
    async fn give_back(self) {
        let Self { answer, question, live, node } = self;
        if let Ok(SharedTurn { position: Some(position), trial: true, .. }) = answer.await {
            let (key, model) = (question.key.clone(), question.model.clone());
            live.say(Word::new(News { key, position, model, what: What::TrialOver }, &node.report));
        }
    }
}
