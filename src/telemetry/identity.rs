//! Who exposes the metrics: the constant labels.

use std::collections::HashMap;

use prometheus::proto::LabelPair;

/// The controller's constant labels: POD_NAMESPACE, the value of `--controller-class`, POD_NAME.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub namespace: String,
    pub class: String,
    pub pod: String,
}

impl Identity {
    fn pairs(&self) -> [(&'static str, &str); 3] {
        [("controller_class", &self.class), ("controller_namespace", &self.namespace), ("controller_pod", &self.pod)]
    }

    /// The constant labels by name, as the `prometheus` crate's options take them.
    pub(super) fn label_map(&self) -> HashMap<String, String> {
        self.pairs().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The constant labels and `own`, sorted by name as Go's client exposes them.
    pub(super) fn labels<'a>(&'a self, own: impl IntoIterator<Item = (&'static str, &'a str)>) -> Vec<LabelPair> {
        let mut pairs: Vec<(&str, &str)> = self.pairs().into_iter().chain(own).collect();
        pairs.sort_unstable();
        let pair = |(name, value): (&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        };
        pairs.into_iter().map(pair).collect()
    }
}
