//! How often routes are compiled: a lone change at once, a stream of them as often as leaves time for other work.

use std::time::Duration;

use tokio::time::Instant;

use crate::source::{Feed, Update};

/// The longest that a change waits for others to come with it.
const LONGEST: Duration = Duration::from_millis(100);

/// When routes may be compiled next. Endpoints are exchanged whenever they change.
///
/// Routes rest for as long as they took. Rest that nobody asked for counts: a change that comes while another lone one is
/// compiled does not wait for more than that.
#[derive(Debug, Default)]
pub struct Pace {
    not_before: Option<Instant>,
}

impl Pace {
    /// The next update. Dropping the future loses nothing.
    pub async fn next(&mut self, feed: &mut Feed) -> Option<Update> {
        feed.next(self.not_before).await
    }

    /// Takes an update. For as long as routes took, other changes of them are gathered.
    pub fn take(&mut self, update: &Update, take: impl FnOnce(&Update)) {
        let began = Instant::now();
        tokio::task::block_in_place(|| take(update));
        if update.change.compiles() {
            let end = Instant::now();
            let rested = self.not_before.map_or(LONGEST, |at| began.saturating_duration_since(at));
            self.not_before = Some(end + (end - began).min(LONGEST).saturating_sub(rested));
        }
    }
}
