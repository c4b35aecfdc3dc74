//! How much of regexes an Ingress may have, and all together. Older Ingresses are asked first, and what is beyond the
//! share of an Ingress counts for nobody else.

use std::collections::HashMap;

/// The automata of one Ingress, in bytes: some thousand paths of the usual kind, each with a rewrite.
const OF_INGRESS: usize = 4 << 20;
/// The automata of all Ingresses, in bytes: ten thousand Ingresses of ten such paths.
const OF_TABLE: usize = 256 << 20;

/// A regex that an Ingress wants for a host.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The position of the Ingress, the oldest first.
    pub owner: usize,
    pub host: String,
    /// A path, or an alias from its `~` on.
    pub text: String,
}

/// The regexes that are left out, with the reason.
pub type Refused = HashMap<Wanted, String>;

/// Which of the regexes, each with its bytes, are beyond a share.
pub fn refused(wanted: Vec<(Wanted, usize)>) -> Refused {
    beyond(wanted, OF_INGRESS, OF_TABLE)
}

fn beyond(mut wanted: Vec<(Wanted, usize)>, of_ingress: usize, of_table: usize) -> Refused {
    wanted.sort_by_key(|(wanted, _)| wanted.owner);
    let (mut own, mut all, mut last) = (0_usize, 0_usize, None);
    let mut refused = Refused::new();
    for (wanted, bytes) in wanted {
        if last != Some(wanted.owner) {
            own = 0;
            last = Some(wanted.owner);
        }
        let (with_own, with_all) = (own.saturating_add(bytes), all.saturating_add(bytes));
        let reason = if with_own > of_ingress {
            format!("the regexes of its Ingress take more than {} KiB", of_ingress >> 10)
        } else if with_all > of_table {
            format!("the regexes of older Ingresses leave nothing of {} KiB", of_table >> 10)
        } else {
            (own, all) = (with_own, with_all);
            continue;
        };
        refused.insert(wanted, reason);
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ingress_takes_its_share_and_leaves_the_others_theirs() {
        let wanted = |owner, text: &str| Wanted { owner, host: "a.test".to_owned(), text: text.to_owned() };
        type Row<'a> = (&'a [(usize, &'a str, usize)], &'a [(usize, &'a str)]);
        let rows: [Row<'_>; 4] = [
            (&[(0, "/a", 2048), (0, "/b", 2048), (1, "/a", 2048)], &[]),
            (&[(0, "/a", 3072), (0, "/b", 2048), (0, "/c", 1024), (1, "/a", 1024)], &[(0, "/b")]),
            // Whatever the order of hosts: the oldest first.
            (&[(2, "/a", 2048), (1, "/a", 4096), (0, "/a", 4096)], &[(2, "/a")]),
            (&[(0, "/huge", usize::MAX), (1, "/a", 4096), (2, "/a", 4096)], &[(0, "/huge")]),
        ];
        for (list, expected) in rows {
            let list = list.iter().map(|(owner, text, bytes)| (wanted(*owner, text), *bytes)).collect();
            let refused = beyond(list, 4096, 8192);
            let mut refused: Vec<_> = refused.keys().map(|wanted| (wanted.owner, wanted.text.as_str())).collect();
            refused.sort_unstable();
            assert_eq!(refused, expected);
        }
    }
}
