//! Telling a server to stop: first in good order, then at once.
//! Absent: signals; whoever has them pulls the lever.

use tokio::sync::watch;

/// How far stopping has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Ending,
}

/// The lever. Dropping it does not stop anything.
#[derive(Debug)]
pub struct Lever(watch::Sender<Phase>);

/// What a server listens to.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Phase>);

/// A lever and what hangs on it.
#[must_use]
pub fn stop() -> (Lever, Stop) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (Lever(sender), Stop(receiver))
}

impl Lever {
    /// Nothing more is accepted; what is open may finish. Pulled once more: everything ends at once.
    pub fn pull(&self) {
        self.0.send_modify(|phase| {
            *phase = if *phase == Phase::Serving {
                Phase::Draining
            } else {
                Phase::Ending
            };
        });
    }
}

impl Stop {
    /// Returns when the server is to stop.
    pub async fn told(&mut self) {
        self.reached(Phase::Draining).await;
    }

    /// Whether it was.
    #[must_use]
    pub fn is_told(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Returns when the server is to end at once.
    pub async fn now(&mut self) {
        self.reached(Phase::Ending).await;
    }

    async fn reached(&mut self, wanted: Phase) {
        if self.0.wait_for(|phase| *phase >= wanted).await.is_err() {
            // The lever is gone: nobody will ever pull it.
            std::future::pending().await
        }
    }
}
