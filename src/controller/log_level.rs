//! What the process's log says, changed while it runs: `error-log-level` of the ConfigMap.

use std::sync::{Arc, Mutex, PoisonError};

use crate::policy::logs::ErrorLogLevel;

/// Changes the level; `None` goes back to what the flags say.
pub type SetLevel = dyn Fn(Option<ErrorLogLevel>) + Send + Sync;

/// The level of the log. By default nobody listens.
#[derive(Clone, Default)]
pub struct LogLevels {
    set: Option<Arc<SetLevel>>,
    now: Arc<Mutex<Option<ErrorLogLevel>>>,
}

impl std::fmt::Debug for LogLevels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogLevels")
    }
}

impl LogLevels {
    pub fn new(set: Arc<SetLevel>) -> Self {
        Self { set: Some(set), now: Arc::default() }
    }

    /// Takes the level of a table that comes into force; nothing happens while it stays the same.
    pub fn follow(&self, level: Option<ErrorLogLevel>) {
        let Some(set) = &self.set else { return };
        let before = std::mem::replace(&mut *self.now.lock().unwrap_or_else(PoisonError::into_inner), level);
        if before != level {
            set(level);
        }
    }
}
