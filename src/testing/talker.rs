//! What a peer does and waits for, with what is said when it comes otherwise.
//! Absent: who waits for it, a thread or a task.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::captures::Captures;
use crate::connection::{Connection, Facts};
use crate::error::Result;
use crate::script::pattern::compiled;
use crate::script::play::conversation::{Conversation, Ending, Unmet};
use crate::script::play::search::Wanted;
use crate::script::report::ConversationTold;
use crate::script::report::failure::conversation;
use crate::transport::reading::ClientEndpoint;
use crate::units::duration_text;

/// The peer in what is said of it.
const NAME: &str = "peer";

/// One thing to do or to wait for.
pub(super) enum Step {
    Send(Vec<u8>),
    Expect(Wanted),
    Ends(Ending),
    Silence(Duration),
    End,
    Close,
    Reset,
}

impl Step {
    pub(super) fn send(bytes: impl AsRef<[u8]>) -> Self {
        Step::Send(bytes.as_ref().to_vec())
    }

    pub(super) fn send_line(text: impl AsRef<[u8]>) -> Self {
        Step::Send([text.as_ref(), b"\r\n"].concat())
    }

    pub(super) fn expect(bytes: impl AsRef<[u8]>) -> Self {
        Step::Expect(Wanted::Within(bytes.as_ref().to_vec()))
    }

    pub(super) fn exactly(bytes: impl AsRef<[u8]>) -> Self {
        Step::Expect(Wanted::Next(bytes.as_ref().to_vec()))
    }

    pub(super) fn line(text: impl AsRef<[u8]>) -> Self {
        Step::Expect(Wanted::Line(text.as_ref().to_vec()))
    }

    #[track_caller]
    pub(super) fn pattern(pattern: &str) -> Self {
        match compiled(pattern) {
            Ok(regex) => Step::Expect(Wanted::Pattern(regex)),
            Err(why) => panic!("/{pattern}/: {why}"),
        }
    }

    /// `None`: any alert will do.
    pub(super) fn alert(name: Option<&str>) -> Self {
        Step::Ends(Ending::Alert(name.map(str::to_owned)))
    }
}

/// A connection that is talked on. It lives on the thread of the peers.
pub(super) struct Talker(Conversation);

impl Talker {
    /// Opens a connection.
    pub(super) async fn connect(endpoint: String) -> Result<Arc<Self>> {
        let endpoint = ClientEndpoint::parse(endpoint.as_ref())?;
        endpoint.connect().await.map(Talker::of)
    }

    pub(super) fn of(connection: Connection) -> Arc<Self> {
        Arc::new(Talker(Conversation::new(NAME, connection)))
    }

    pub(super) fn facts(&self) -> &Facts {
        self.0.facts()
    }

    /// Returns when the connection is closed.
    pub(super) async fn leave(self: Arc<Self>) {
        self.0.leave().await;
    }

    /// Takes a step within a limit, or says in several lines why it could not.
    pub(super) async fn take(
        self: Arc<Self>,
        step: Step,
        limit: Duration,
    ) -> std::result::Result<Captures, String> {
        let within = format!("within {}", duration_text(limit));
        let late = |what: &str| Unmet::new(format!("{NAME}: {what} {within}"));
        let done = match &step {
            Step::Expect(wanted) => match timeout(limit, self.0.expect(wanted)).await {
                Ok(found) => return found.map(Captures::of).map_err(|unmet| self.told(unmet)),
                Err(_late) => Err(self.0.not_in_time(wanted, &within)),
            },
            Step::Ends(ending) => timeout(limit, self.0.expect_end(ending))
                .await
                .unwrap_or_else(|_late| Err(self.0.not_ended(ending, &within))),
            Step::Silence(length) => self.0.expect_silence(*length).await,
            Step::Send(bytes) => timeout(limit, self.0.send(bytes.clone()))
                .await
                .unwrap_or_else(|_late| Err(late("not everything was taken"))),
            Step::End => timeout(limit, self.0.end())
                .await
                .unwrap_or_else(|_late| Err(late("our half could not be ended"))),
            Step::Reset => timeout(limit, self.0.reset())
                .await
                .unwrap_or_else(|_late| Err(late("it could not be reset"))),
            Step::Close => {
                self.0.close().await;
                Ok(())
            }
        };
        done.map(|()| Captures::default())
            .map_err(|unmet| self.told(unmet))
    }

    /// Why, expected against arrived, and the conversation so far. No line holds a control character.
    fn told(&self, unmet: Unmet) -> String {
        let mut lines = vec![unmet.why];
        lines.extend(unmet.picture.into_iter().map(|line| format!("  {line}")));
        let (events, left_out) = self.0.so_far();
        let told = ConversationTold {
            name: NAME.to_owned(),
            peer: self.facts().peer.to_string(),
            events,
            left_out,
        };
        conversation(&told, &mut lines);
        lines.join("\n")
    }
}
